#include "cli/system_report.h"

#include <fmt/core.h>
#include <spdlog/version.h>
#include <sys/utsname.h>

#include <CLI/Version.hpp>
#include <array>
#include <boost/version.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include "base/format_bytes.h"
#include "base/system_memory.h"
#include "base/thread_pool.h"
#include "base/version.h"
#include "client/http_client.h"
#include "model/compute_context.h"

namespace lmdeploy::cli {
namespace {

using Json = nlohmann::ordered_json;

// The rest of the first line of `file` that begins with `key`, without `separators` around it.
std::string value_of(const char* file, std::string_view key, std::string_view separators) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key)) continue;
    const std::size_t begin = line.find_first_not_of(separators, key.size());
    if (begin == std::string::npos) return {};
    return line.substr(begin, line.find_last_not_of(separators) + 1 - begin);
  }
  return {};
}

std::string first_line(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

std::string memory_line(std::string_view key) {
  const std::string kib = value_of("/proc/meminfo", key, ": \tkB");
  return kib.empty() ? "unknown" : format_bytes(std::stoll(kib) * 1024);
}

// The memory limit of this process's control group, version 2 or 1.
std::string cgroup_limit() {
  const std::string group = value_of("/proc/self/cgroup", "0::", "");
  for (std::filesystem::path folder = "/sys/fs/cgroup" + group; folder.string().size() >= 14;
       folder = folder.parent_path()) {
    const std::string limit = first_line(folder / "memory.max");
    if (!limit.empty() && limit != "max") return format_bytes(std::stoll(limit));
  }
  const std::string limit = first_line("/sys/fs/cgroup/memory/memory.limit_in_bytes");
  constexpr std::size_t kDigitsOfNoLimit = 19;  // the kernel writes the largest page-aligned number
  return limit.empty() || limit.size() >= kDigitsOfNoLimit ? "none" : format_bytes(std::stoll(limit));
}

// The flags among those that decide which kernels could run.
std::string processor_flags() {
  static constexpr std::array<std::string_view, 8> kFlags{
      "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8"};
  std::istringstream words(value_of("/proc/cpuinfo", "flags", "\t :"));
  std::string found;
  for (std::string word; words >> word;)
    for (std::string_view flag : kFlags)
      if (word == flag) found += (found.empty() ? "" : " ") + word;
  return found;
}

std::string cuda_version(int version) {  // 12080: "CUDA 12.8"
  return version == 0 ? "none" : fmt::format("CUDA {}.{}", version / 1000, version % 1000 / 10);
}

std::string describe(const cuda::DeviceProperties& card) {
  const std::string free =
      card.free_bytes == 0
          ? std::string()
          : fmt::format(", {} free", format_bytes(static_cast<std::int64_t>(card.free_bytes)));
  return fmt::format("{}, sm_{}{}, {} multiprocessors, {}{}", card.name, card.compute_major,
                     card.compute_minor, card.num_multiprocessors,
                     format_bytes(static_cast<std::int64_t>(card.total_bytes)), free);
}

Json gpu_report() {
  const cuda::Availability found = find_cards();
  const std::string driver = first_line("/proc/driver/nvidia/version");
  Json report{{"nvidia driver", driver.empty() ? "not present" : driver},
              {"driver is for", cuda_version(found.driver_version)},
              {"program is built with", cuda_version(found.runtime_version)}};
  for (const cuda::DeviceProperties& card : found.devices)
    report[fmt::format("card {}", card.index)] = describe(card);
  report["used"] = found.reason.empty() ? "yes, by --device auto and cuda" : "no: " + found.reason;
  return report;
}

Json library_report() {
  const auto json_version = fmt::format("{}.{}.{}", NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR,
                                        NLOHMANN_JSON_VERSION_PATCH);
  return {{"boost",
           fmt::format("{}.{}.{}", BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000, BOOST_VERSION % 100)},
          {"cli11", CLI11_VERSION},
          {"fmt", fmt::format("{}.{}.{}", FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100)},
          {"libcurl", client::http_library_version()},
          {"nlohmann-json", json_version},
          {"spdlog", fmt::format("{}.{}.{}", SPDLOG_VER_MAJOR, SPDLOG_VER_MINOR, SPDLOG_VER_PATCH)}};
}

}  // namespace

Json system_report() {
  utsname kernel{};
  uname(&kernel);
  Json report;
  report["lmdeploy"] = kVersion;
  report["compiler"] = __VERSION__;
  report["system"] = value_of("/etc/os-release", "PRETTY_NAME=", "\"");
  report["kernel"] = fmt::format("{} {} {}", kernel.sysname, kernel.release, kernel.machine);
  report["processor"] = {{"model", value_of("/proc/cpuinfo", "model name", "\t :")},
                         {"usable CPUs", ThreadPool::num_usable_cpus()},
                         {"kernels used", cpu_isa_name(best_cpu_isa())},
                         {"flags", processor_flags()}};
  report["memory"] = {
      {"total", memory_line("MemTotal:")},
      {"available", memory_line("MemAvailable:")},
      {"control group limit", cgroup_limit()},
      {"usable by this process", format_bytes(static_cast<std::int64_t>(available_memory_bytes()))}};
  report["gpu"] = gpu_report();
  report["libraries"] = library_report();
  return report;
}

}  // namespace lmdeploy::cli
