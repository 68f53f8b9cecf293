# SPDX-License-Identifier: MIT
# A toolchain file: the newest clang of those that Annals is tested with.
find_program(CMAKE_CXX_COMPILER NAMES clang++-19 clang++-18 clang++-17 clang++-16 clang++ REQUIRED)
