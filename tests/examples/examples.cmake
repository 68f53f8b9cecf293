# SPDX-License-Identifier: MIT
# Runs the examples, each in an empty directory, and checks what they print.

set(here "${CMAKE_CURRENT_LIST_DIR}")

foreach(example hello custom_codec follow service_test)
    add_test(NAME example.${example}
        COMMAND "${run_in}" fresh "${work_dir}/${example}" "${here}/expected/${example}.txt"
            $<TARGET_FILE:${example}>)
endforeach()

# Four runs: three to eat up what is waiting, and one that finds nothing left.
add_test(NAME example.resume_consumer
    COMMAND "${run_in}" fresh "${work_dir}/resume_consumer" "${here}/expected/resume_consumer.txt"
        sh -c "\"$1\" && \"$1\" && \"$1\" && \"$1\"" - $<TARGET_FILE:resume_consumer>)

foreach(case view moments once grown rotated overlapping late cuts stdin garbage clock_set_back
        time_zones package unread_default sample mistakes killed)
    add_test(NAME example.package_history.${case}
        COMMAND "${run_in}" fresh "${work_dir}/package_history_${case}" -
            "${here}/package_history.sh" $<TARGET_FILE:package_history> "${here}/data/dpkg.log"
            ${case})
endforeach()

add_test(NAME example.package_history.machine
    COMMAND "${run_in}" fresh "${work_dir}/package_history_machine" -
        "${here}/machine.sh" $<TARGET_FILE:package_history>)
set_tests_properties(example.package_history.machine PROPERTIES SKIP_RETURN_CODE 77)
