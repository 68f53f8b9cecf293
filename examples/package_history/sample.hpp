// SPDX-License-Identifier: MIT
// A few lines as dpkg writes them, for machines that have no log of their own.
#pragma once

inline constexpr char const* sample_log =
    R"(2026-03-02 09:14:07 startup archives unpack
2026-03-02 09:14:07 install libuv1:amd64 <none> 1.44.2-1
2026-03-02 09:14:07 status half-installed libuv1:amd64 1.44.2-1
2026-03-02 09:14:07 status unpacked libuv1:amd64 1.44.2-1
2026-03-02 09:14:08 install tree:amd64 <none> 2.1.0-1
2026-03-02 09:14:08 status half-installed tree:amd64 2.1.0-1
2026-03-02 09:14:08 status unpacked tree:amd64 2.1.0-1
2026-03-02 09:14:08 startup packages configure
2026-03-02 09:14:08 configure libuv1:amd64 1.44.2-1 <none>
2026-03-02 09:14:08 status unpacked libuv1:amd64 1.44.2-1
2026-03-02 09:14:08 status half-configured libuv1:amd64 1.44.2-1
2026-03-02 09:14:08 status installed libuv1:amd64 1.44.2-1
2026-03-02 09:14:09 configure tree:amd64 2.1.0-1 <none>
2026-03-02 09:14:09 status half-configured tree:amd64 2.1.0-1
2026-03-02 09:14:09 status installed tree:amd64 2.1.0-1
2026-04-11 18:02:55 startup archives unpack
2026-04-11 18:02:55 upgrade libuv1:amd64 1.44.2-1 1.44.2-1+deb12u1
2026-04-11 18:02:55 status half-configured libuv1:amd64 1.44.2-1
2026-04-11 18:02:55 status unpacked libuv1:amd64 1.44.2-1
2026-04-11 18:02:55 status half-installed libuv1:amd64 1.44.2-1
2026-04-11 18:02:56 status unpacked libuv1:amd64 1.44.2-1+deb12u1
2026-04-11 18:02:56 startup packages configure
2026-04-11 18:02:56 configure libuv1:amd64 1.44.2-1+deb12u1 <none>
2026-04-11 18:02:56 status half-configured libuv1:amd64 1.44.2-1+deb12u1
2026-04-11 18:02:56 status installed libuv1:amd64 1.44.2-1+deb12u1
2026-04-12 07:30:00 startup packages remove
2026-04-12 07:30:00 status installed tree:amd64 2.1.0-1
2026-04-12 07:30:00 remove tree:amd64 2.1.0-1 <none>
2026-04-12 07:30:00 status half-configured tree:amd64 2.1.0-1
2026-04-12 07:30:00 status half-installed tree:amd64 2.1.0-1
2026-04-12 07:30:00 status not-installed tree:amd64 <none>
)";
