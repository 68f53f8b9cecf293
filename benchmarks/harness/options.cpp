// SPDX-License-Identifier: MIT
#include "harness/options.hpp"

#include <cmath>
#include <cstdlib>
#include <stdexcept>

namespace bench {
namespace {

[[nodiscard]] double positive_number(std::string const& option, std::string const& text) {
    char* end = nullptr;
    double const number = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0' || !std::isfinite(number) || number <= 0) {
        throw std::invalid_argument{option + " needs a number above 0, not \"" + text + '"'};
    }
    return number;
}

[[nodiscard]] unsigned positive_count(std::string const& option, std::string const& text) {
    double const number = positive_number(option, text);
    if (number != std::floor(number) || number > 1000) {
        throw std::invalid_argument{option + " needs a whole number from 1 to 1000"};
    }
    return static_cast<unsigned>(number);
}

void be_quick(Options& options) {
    options.scale = 1.0 / 1024;
    options.runs = 1;
    options.patience = std::chrono::duration<double>{0.2};
    options.journal = Options::Journal::never;
}

}  // namespace

Options parse_options(std::span<char const* const> arguments) {
    Options options;
    std::size_t at = 0;
    auto const is_value = [&] { return at < arguments.size() && arguments[at][0] != '-'; };
    auto const value = [&](std::string const& option) -> std::string {
        if (!is_value()) throw std::invalid_argument{option + " needs a value"};
        return arguments[at++];
    };
    while (at < arguments.size()) {
        std::string const option = arguments[at++];
        if (option == "--help") {
            options.action = Options::Action::help;
        } else if (option == "--list") {
            options.action = Options::Action::list;
        } else if (option == "--only") {
            options.only.push_back(value(option));
            while (is_value()) options.only.push_back(value(option));
        } else if (option == "--dir") {
            options.directory = value(option);
        } else if (option == "--json") {
            options.json = value(option);
        } else if (option == "--markdown") {
            options.markdown = value(option);
        } else if (option == "--runs") {
            options.runs = positive_count(option, value(option));
        } else if (option == "--scale") {
            options.scale = positive_number(option, value(option));
        } else if (option == "--patience") {
            options.patience =
                std::chrono::duration<double>{positive_number(option, value(option))};
        } else if (option == "--no-journal") {
            options.journal = Options::Journal::never;
        } else if (option == "--quick") {
            be_quick(options);
        } else {
            throw std::invalid_argument{"unknown option: " + option};
        }
    }
    return options;
}

std::string usage() {
    return R"(annals_bench [OPTION...]: measures Annals beside the machine's limit and its peers

  --dir DIRECTORY    work in a folder of its own below it (default: .)
  --list             name the benchmarks and stop
  --only NAME...     run these only
  --runs N           runs of each subject, interleaved (default: 5)
  --scale X          of the records at full size, 1 GiB of frames for each throughput (default: 1)
  --patience SECONDS cut a peer's append off after it; its rate is what it did until then (10)
  --quick            tiny sizes, one run, no journal: whether everything works, not how fast.
                     Options behind it change what it sets
  --no-journal       leave out the loop-mounted ext4 with a journal, which root has by itself
  --json FILE        write the figures as JSON
  --markdown FILE    write the tables as Markdown
)";
}

}  // namespace bench
