// SPDX-License-Identifier: MIT
// A copyable callable, as small as the two places that take one from the user need it.
// (<functional> alone would take a sixth of the include budget.)
#pragma once

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

#include <annals/config.hpp>

namespace annals::inline v1::detail {

template <class Signature>
class Callable;

/// Holds any callable with that signature, or none. Copies share it.
template <class Result, class... Arguments>
class Callable<Result(Arguments...)> {
public:
    Callable() noexcept = default;

    template <class F>
    requires(!std::same_as<std::remove_cvref_t<F>, Callable> &&
             std::is_invocable_r_v<Result, std::decay_t<F>&, Arguments...>)
        Callable(F&& call)  // NOLINT(google-explicit-constructor): a lambda is what the user writes
        : target_{std::make_shared<std::decay_t<F>>(std::forward<F>(call))},
          call_{[](void* target, Arguments... arguments) -> Result {
              auto& held = *static_cast<std::decay_t<F>*>(target);
              if constexpr (std::is_void_v<Result>) {
                  held(std::forward<Arguments>(arguments)...);
              } else {
                  return held(std::forward<Arguments>(arguments)...);
              }
          }} {}

    [[nodiscard]] explicit operator bool() const noexcept { return call_ != nullptr; }

    Result operator()(Arguments... arguments) const {
        return call_(target_.get(), std::forward<Arguments>(arguments)...);
    }

private:
    std::shared_ptr<void> target_;
    Result (*call_)(void*, Arguments...) = nullptr;
};

}  // namespace annals::inline v1::detail
