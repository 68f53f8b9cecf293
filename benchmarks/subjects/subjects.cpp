// SPDX-License-Identifier: MIT
#include "subjects/subjects.hpp"

#include <stdexcept>

namespace bench {
namespace {

constexpr Subject all_subjects[] = {
    {"ceiling", &open_ceiling}, {"supplied", &open_supplied}, {"singly", &open_singly},
    {"annals", &open_annals},   {"stdio", &open_stdio},       {"write", &open_write},
#ifdef ANNALS_BENCH_HAS_ROCKSDB
    {"rocksdb", &open_rocksdb},
#endif
#ifdef ANNALS_BENCH_HAS_LEVELDB
    {"leveldb", &open_leveldb},
#endif
#ifdef ANNALS_BENCH_HAS_LMDB
    {"lmdb", &open_lmdb},
#endif
#ifdef ANNALS_BENCH_HAS_SQLITE
    {"sqlite", &open_sqlite},
#endif
};

}  // namespace

void Store::scan(Sink&) { throw std::logic_error{"this store does not scan"}; }
void Store::seek(std::uint64_t, Sink&) { throw std::logic_error{"this store does not seek"}; }
void Store::seek_stamp(std::uint64_t, Sink&) { throw std::logic_error{"no timestamps here"}; }

std::vector<Subject> subjects(std::vector<std::string_view> const& names) {
    std::vector<Subject> found;
    for (std::string_view const name : names) {
        for (Subject const& subject : all_subjects) {
            if (subject.name == name) found.push_back(subject);
        }
    }
    return found;
}

Subject subject(std::string_view name) { return subjects({name}).at(0); }

std::string subject_names() {
    std::string names;
    for (Subject const& subject : all_subjects) {
        if (!names.empty()) names += ", ";
        names += subject.name;
    }
    return names;
}

}  // namespace bench
