// SPDX-License-Identifier: MIT
// The names of types as they are stored with a topic: equal whichever compiler built the program.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <typeinfo>

#include <annals/config.hpp>

// As <cxxabi.h> declares it, together with much that nobody here needs.
namespace __cxxabiv1 {
extern "C" char* __cxa_demangle(char const*, char*, std::size_t*, int*);
}

namespace annals::inline v1 {

/// The name that is stored for a plain type, for a type that moves or shall be called otherwise:
///
///     template <>
///     struct annals::TypeName<billing::Deposited> {
///         static constexpr std::string_view value = "Deposited";
///     };
///
/// Without it a type has its qualified name. Names must not contain `<`, `>` or `|`.
template <class T>
struct TypeName {};

namespace detail {

template <class T>
concept HasTypeName = requires {
    std::string_view{TypeName<T>::value};
};

#if defined(__GXX_RTTI)
/// "billing::Deposited". It comes from the mangled name, which the C++ ABI fixes; the spelling in
/// __PRETTY_FUNCTION__ differs between compilers for inline namespaces, templates, local types.
inline std::string qualified_name(std::type_info const& type) {
    int status = 0;
    std::unique_ptr<char, void (*)(void*)> const text{
        __cxxabiv1::__cxa_demangle(type.name(), nullptr, nullptr, &status), std::free};
    std::string name{status == 0 ? text.get() : type.name()};
    // Demanglers disagree about the blank in `> >`, compilers about ABI tags around local types.
    for (std::size_t at = 0; (at = name.find("> >", at)) != std::string::npos;) {
        name.erase(at + 1, 1);
    }
    for (std::size_t at = 0; (at = name.find("[abi:", at)) != std::string::npos;) {
        name.erase(at, name.find(']', at) - at + 1);
    }
    return name;
}
#endif

template <class T>
[[nodiscard]] std::string type_name() {
    if constexpr (HasTypeName<T>) {
        return std::string{std::string_view{TypeName<T>::value}};
    } else {
#if defined(__GXX_RTTI)
        return qualified_name(typeid(T));
#else
        static_assert(HasTypeName<T>, "built without RTTI: specialise annals::TypeName<T>");
        return {};
#endif
    }
}

}  // namespace detail
}  // namespace annals::inline v1
