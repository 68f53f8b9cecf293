// SPDX-License-Identifier: MIT
// A codec of one's own: how a type that Annals does not know becomes bytes, and bytes the type.
// Plain structs of numbers, strings, vectors, optionals and variants need none of this. And what
// a topic holds may grow: a variant takes further alternatives at its end.
#include <annals/annals.hpp>

#include <cstddef>
#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>
#include <variant>

struct Song {
    std::string title;
    std::string artist;
    std::uint32_t seconds = 0;
};

// The bytes: {seconds: 4} {length of the title: 4} {title} {artist, up to the end}.
template <>
struct annals::Codec<Song> {
    // Stored with the topic and compared when it is opened again. A new layout gets a new name.
    static constexpr std::string_view name = "song.v1";

    // Asked first, so that the record's place in the log can be claimed at its full length.
    static std::size_t size(Song const& song) { return 8 + song.title.size() + song.artist.size(); }

    // `out` has exactly size() bytes. Nothing stands between it and the log's own memory but one
    // copy; a codec that cannot throw may write there directly (encode_in_place).
    static void encode(Song const& song, annals::MutableBytes out) {
        annals::store_le(out, song.seconds);
        annals::store_le(out.subspan(4), static_cast<std::uint32_t>(song.title.size()));
        annals::copy_bytes(annals::as_bytes(song.title), out.subspan(8));
        annals::copy_bytes(annals::as_bytes(song.artist), out.subspan(8 + song.title.size()));
    }

    // Bytes come from a disk: every length is checked before it is believed. load_le throws
    // decode_failed by itself where there are too few bytes.
    static Song decode(annals::Bytes in) {
        auto const seconds = annals::load_le<std::uint32_t>(in);
        auto const title = annals::load_le<std::uint32_t>(in.subspan(4));
        if (title > in.size() - 8)
            throw annals::Error{annals::Errc::decode_failed, "the song's title is cut off"};
        return {.title = std::string{annals::as_text(in.subspan(8, title))},
                .artist = std::string{annals::as_text(in.subspan(8 + title))},
                .seconds = seconds};
    }
};

struct Skipped {
    std::uint32_t after_seconds = 0;
};
struct Rated {
    std::uint8_t stars = 0;
};

int main() {
    annals::Log log{"codec-log"};
    {
        auto played = log.topic<std::uint32_t, Song>("played");
        auto producer = played.producer();
        producer.send(7, Song{.title = "Blue in Green", .artist = "Miles Davis", .seconds = 337});
        producer.send(8, Song{.title = "Naima", .artist = "John Coltrane", .seconds = 261});

        for (auto const& record : played.replay()) {
            Song const song = record.value();  // decoded here, each time that it is asked for
            std::cout << record.key() << ": " << song.title << ", " << song.artist << ", "
                      << song.seconds << " s\n";
        }
    }

    // Last year's program knew two events of a listener, this year's a third. It opens the topic as
    // it is, reads the old records, and from then on may send the new ones.
    log.topic<std::uint32_t, std::variant<Song, Skipped>>("events").producer().send(
        7, Skipped{.after_seconds = 12});
    auto events = log.topic<std::uint32_t, std::variant<Song, Skipped, Rated>>("events");
    events.producer().send(7, Rated{.stars = 5});
    for (auto const& record : events.replay()) {
        auto const event = record.value();
        if (auto const* skipped = std::get_if<Skipped>(&event))
            std::cout << "skipped after " << skipped->after_seconds << " s\n";
        if (auto const* rated = std::get_if<Rated>(&event))
            std::cout << "rated with " << int{rated->stars} << " stars\n";
    }

    // A topic remembers what it holds. To open it as something else is told before a byte is read.
    try {
        (void)log.topic<std::uint32_t, std::string>("played");
    } catch (annals::Error const& error) {
        std::cout << "as text: " << annals::to_string(error.code()) << '\n';
    }
}
