# SPDX-License-Identifier: MIT
# The target annals::compiled: annals::annals with the engine compiled once, in the project that
# uses it and as that compiles itself, for programs whose sources are many.

set(annals_source "${CMAKE_CURRENT_BINARY_DIR}/annals.cpp")
file(CONFIGURE OUTPUT "${annals_source}"
    CONTENT "#define ANNALS_COMPILED_HERE\n#include <annals/annals.hpp>\n" @ONLY)
add_library(annals_compiled STATIC EXCLUDE_FROM_ALL "${annals_source}")
add_library(annals::compiled ALIAS annals_compiled)
target_compile_definitions(annals_compiled PUBLIC ANNALS_COMPILED)
target_link_libraries(annals_compiled PUBLIC annals::annals)
