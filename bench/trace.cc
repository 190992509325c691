#include "bench/trace.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <unordered_map>

extern char **environ;

namespace ca_bench {
namespace {

struct Header {
  char magic[8];
  std::uint64_t events, ids, peak_live, total_bytes, peak_objects, threads, reserved;
};

struct Record {
  std::uint8_t op, align_log2;
  std::uint16_t thread;
  std::uint32_t id, old_id, size;
};

static_assert(sizeof(Header) == 64 && sizeof(Record) == 16, "as in the file");

std::vector<char> ReadAll(std::FILE *file) {
  std::vector<char> bytes;
  char part[65536];
  for (std::size_t got; (got = std::fread(part, 1, sizeof part, file)) > 0;) {
    bytes.insert(bytes.end(), part, part + got);
  }
  return bytes;
}

// No shell: a path may hold any character.
bool ReadUnpacked(const std::string &path, std::vector<char> *bytes) {
  int ends[2];
  if (pipe(ends) != 0) return false;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  posix_spawn_file_actions_addclose(&actions, ends[1]);
  const char *argv[] = {"xz", "-dc", "--", path.c_str(), nullptr};
  pid_t child = 0;
  const int failed =
      posix_spawnp(&child, "xz", &actions, nullptr, const_cast<char **>(argv), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  std::FILE *file = fdopen(ends[0], "rb");
  *bytes = ReadAll(file);
  std::fclose(file);
  int status = 0;
  return failed == 0 && waitpid(child, &status, 0) == child && status == 0;
}

bool ReadFile(const std::string &path, std::vector<char> *bytes) {
  std::FILE *file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return false;
  *bytes = ReadAll(file);
  std::fclose(file);
  return true;
}

bool EndsWith(const std::string &text, const std::string &end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// Gives each id the slot freed last, so that the replayer's own table stays small and warm.
class Translator {
 public:
  explicit Translator(Trace *trace) : trace_(trace) {}

  bool Add(const Record &record) {
    switch (record.op) {
      case 0:
      case 1:
      case 2:
        Allocate(record);
        return true;
      case 3:
        return Resize(record);
      case 4:
        return Free(record.id);
      default:
        return false;
    }
  }

  void FreeTheRest() {
    std::vector<std::uint32_t> left;
    for (const auto &entry : live_) {
      left.push_back(entry.first);
    }
    std::sort(left.begin(), left.end());
    for (const std::uint32_t id : left) {
      Free(id);
    }
  }

 private:
  struct Live {
    std::uint32_t slot, size;
    std::uint8_t align_log2;
  };

  // What a malloc asks for: 16, or 8 for sizes below 16.
  static std::uint8_t AlignOf(const Record &record, std::uint32_t size) {
    if (record.op == 2 && record.align_log2 != 0) return record.align_log2;
    return size < 16 ? 3 : 4;
  }

  void Count(std::uint32_t old_size, std::uint32_t size) {
    now_ += size;
    now_ -= old_size;
    trace_->peak_live = std::max(trace_->peak_live, now_);
    trace_->total += (std::uint64_t{size} + 63) & ~std::uint64_t{63};
  }

  void Allocate(const Record &record) {
    if (unused_.empty()) unused_.push_back(trace_->slots++);
    const std::uint32_t size = std::max(record.size, 1U);
    const Live live = {unused_.back(), size, AlignOf(record, size)};
    unused_.pop_back();
    live_[record.id] = live;
    trace_->events.push_back({Op::kAllocate, live.align_log2, live.slot, size, 0});
    Count(0, size);
  }

  bool Resize(const Record &record) {
    const auto it = live_.find(record.old_id);
    if (it == live_.end()) return false;
    const Live old = it->second;
    live_.erase(it);
    const std::uint32_t size = std::max(record.size, 1U);
    live_[record.id] = {old.slot, size, old.align_log2};
    trace_->events.push_back({Op::kResize, old.align_log2, old.slot, size, old.size});
    Count(old.size, size);
    return true;
  }

  bool Free(std::uint32_t id) {
    const auto it = live_.find(id);
    if (it == live_.end()) return false;
    const Live old = it->second;
    live_.erase(it);
    unused_.push_back(old.slot);
    trace_->events.push_back({Op::kFree, old.align_log2, old.slot, 0, old.size});
    now_ -= old.size;
    return true;
  }

  Trace *const trace_;
  std::unordered_map<std::uint32_t, Live> live_;
  std::vector<std::uint32_t> unused_;
  std::uint64_t now_ = 0;
};

std::string NameOf(std::string path) {
  path = path.substr(path.find_last_of('/') + 1);
  return path.substr(0, path.find('.'));
}

}  // namespace

bool LoadTrace(const std::string &path, Trace *trace, std::string *error) {
  std::vector<char> bytes;
  const bool read = EndsWith(path, ".xz") ? ReadUnpacked(path, &bytes) : ReadFile(path, &bytes);
  Header header;
  if (!read || bytes.size() < sizeof header) {
    *error = path + ": cannot be read";
    return false;
  }
  std::memcpy(&header, bytes.data(), sizeof header);
  if (std::memcmp(header.magic, "CATRACE1", 8) != 0 ||
      header.events > (bytes.size() - sizeof header) / sizeof(Record)) {
    *error = path + ": is no trace, or cut off";
    return false;
  }
  trace->name = NameOf(path);
  trace->recorded = header.events;
  Translator translator(trace);
  for (std::size_t i = 0; i < header.events; ++i) {
    Record record;
    std::memcpy(&record, bytes.data() + sizeof header + i * sizeof record, sizeof record);
    if (!translator.Add(record)) {
      *error = path + ": event " + std::to_string(i) + " makes no sense";
      return false;
    }
  }
  translator.FreeTheRest();
  return true;
}

}  // namespace ca_bench
