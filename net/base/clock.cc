#include "net/base/clock.h"

#include <fmt/format.h>

namespace sluice {
namespace {

class SystemClock final : public Clock {
 public:
  SteadyTime steady() const override { return std::chrono::steady_clock::now(); }
  WallTime wall() const override {
    return std::chrono::time_point_cast<std::chrono::microseconds>(
        std::chrono::system_clock::now());
  }
};

struct Civil {
  std::chrono::year_month_day date;
  std::chrono::weekday weekday;
  std::chrono::hh_mm_ss<std::chrono::microseconds> time;
};

Civil civil(WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  return {std::chrono::year_month_day(day), std::chrono::weekday(day),
          std::chrono::hh_mm_ss<std::chrono::microseconds>(time - day)};
}

// The last `count` decimal digits.
void appendDigits(std::string& text, unsigned number, size_t count) {
  const size_t from = text.size();
  text.append(count, '0');
  for (size_t at = from + count; at-- > from; number /= 10)
    text[at] = static_cast<char>('0' + number % 10);
}

}  // namespace

const Clock& Clock::system() {
  static const SystemClock clock;
  return clock;
}

std::string formatRfc3339(WallTime time) {
  const Civil c = civil(time);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", static_cast<int>(c.date.year()),
                     static_cast<unsigned>(c.date.month()), static_cast<unsigned>(c.date.day()),
                     c.time.hours().count(), c.time.minutes().count(), c.time.seconds().count(),
                     c.time.subseconds().count());
}

std::string formatRfc5322(WallTime time) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const Civil c = civil(time);
  const auto day = static_cast<unsigned>(c.date.day());
  // Every message bears one: put together by hand, at a twentieth of a general formatter's cost.
  std::string text;
  text.reserve(32);
  text.append(kDays[c.weekday.c_encoding()]).append(", ");
  if (day < 10) {
    text.push_back(static_cast<char>('0' + day));
  } else {
    appendDigits(text, day, 2);
  }
  text.append(" ").append(kMonths[static_cast<unsigned>(c.date.month()) - 1]).append(" ");
  appendDigits(text, static_cast<unsigned>(static_cast<int>(c.date.year())), 4);
  text.push_back(' ');
  appendDigits(text, static_cast<unsigned>(c.time.hours().count()), 2);
  text.push_back(':');
  appendDigits(text, static_cast<unsigned>(c.time.minutes().count()), 2);
  text.push_back(':');
  appendDigits(text, static_cast<unsigned>(c.time.seconds().count()), 2);
  return text.append(" +0000");
}

}  // namespace sluice
