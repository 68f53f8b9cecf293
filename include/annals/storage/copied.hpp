// SPDX-License-Identifier: MIT
// A log that others have copied, as cp does: nothing of the copy need be durable, whatever it says
// of itself.
#pragma once

#include <memory>
#include <vector>

#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/format/control.hpp>
#include <annals/storage/control_file.hpp>
#include <annals/storage/last_writer.hpp>
#include <annals/storage/segment.hpp>
#include <annals/storage/segment_files.hpp>

namespace annals::inline v1::storage {

/// Makes a partition durable whose files are copies. Throws `sync_failed`; then so does every later
/// try while this machine runs: the kernel tells once that pages were lost, and a second sync would
/// succeed without them.
template <Platform P>
void sync_copied(SegmentFiles<P> const& files, LastWriter const& last,
                 std::vector<std::shared_ptr<Segment<P>>> const& segments) {
    auto directory = files.directory();
    BootId const boot = files.platform().boot_id();
    bool const has_failed = last.control.syncing == format::syncing_everything;
    if (has_failed && boot != BootId{} && last.control.syncing_boot == boot) {
        detail::raise(Errc::sync_failed, "this copy could not be made durable; copy it again",
                      {.path = files.path()});
    }
    auto const error = detail::attempt([&] {
        for (auto const& segment : segments) {
            files.open_segment(segment->ordinal(), Access::read).sync();
        }
        if (last.has_control) directory.open_file(control_name, Access::read).sync();
        files.sync_descriptions();
        directory.sync();
    });
    if (!error) return;
    if (error->code() == Errc::sync_failed && last.has_control) {
        ControlFile<P>{directory, last.control}.set_syncing(format::syncing_everything, boot);
    }
    detail::raise_again(*error);
}

}  // namespace annals::inline v1::storage
