#include "bench/replay_trace.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>

extern char **environ;

namespace replay {
namespace {

struct Header {
  char magic[8];
  std::uint64_t events;
  std::uint64_t ids;
  std::uint64_t peak_live;
  std::uint64_t total_bytes;
  std::uint64_t peak_objects;
  std::uint64_t threads;
  std::uint64_t reserved;
};
static_assert(sizeof(Header) == 64, "");

struct Record {
  std::uint8_t op;
  std::uint8_t align_log2;
  std::uint16_t thread;
  std::uint32_t id;
  std::uint32_t old_id;
  std::uint32_t size;
};
static_assert(sizeof(Record) == 16, "");

[[noreturn]] void Fail(const std::string &path, const char *what) {
  std::fprintf(stderr, "%s: %s\n", path.c_str(), what);
  std::exit(2);
}

bool EndsWith(const std::string &text, const std::string &end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// Zeros, one for each id. Pages come as they are touched: a header may say anything.
template <typename T>
class PerId {
 public:
  PerId(const std::string &path, std::uint64_t count)
      : values_(static_cast<T *>(std::calloc(count, sizeof(T))), std::free) {
    if (values_ == nullptr) Fail(path, "more ids than memory");
  }
  T &operator[](std::uint32_t id) { return values_.get()[id]; }

 private:
  std::unique_ptr<T, void (*)(void *)> values_;
};

// The trace's bytes, unpacked on the way by a child. No shell: a path may hold any character.
std::FILE *OpenUnpacked(const std::string &path, pid_t *child) {
  int ends[2];
  if (pipe(ends) != 0) return nullptr;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  posix_spawn_file_actions_addclose(&actions, ends[1]);
  const char *argv[] = {"xz", "-dc", "--", path.c_str(), nullptr};
  const int failed =
      posix_spawnp(child, "xz", &actions, nullptr, const_cast<char **>(argv), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (failed == 0) return fdopen(ends[0], "rb");
  close(ends[0]);
  return nullptr;
}

// What follows the trace is read too, or xz couldn't write it, and says nothing of the check sums.
void CloseUnpacked(const std::string &path, std::FILE *file, pid_t child) {
  char rest[4096];
  while (std::fread(rest, 1, sizeof rest, file) > 0) {
  }
  std::fclose(file);
  int status = -1;
  if (waitpid(child, &status, 0) != child || status != 0) Fail(path, "damaged: xz failed");
}

std::string NameOf(const std::string &path) {
  std::string name = path.substr(path.find_last_of('/') + 1);
  for (const char *end : {".xz", ".ctr"}) {
    if (EndsWith(name, end)) name.resize(name.size() - std::strlen(end));
  }
  return name;
}

// Turns records into events. A slot is given again to a later object once it is free.
class Compiler {
 public:
  Compiler(const std::string &path, std::uint64_t ids, Trace *trace)
      : path_(path),
        trace_(trace),
        ids_(ids),
        slot_of_(path, ids),
        size_of_(path, ids),
        align_of_(path, ids) {}

  void Add(const Record &record) {
    if (record.id == 0 || record.id >= ids_ || record.old_id >= ids_) {
      Fail(path_, "an id out of range");
    }
    if (record.align_log2 > kAlignLog2Max) Fail(path_, "an alignment out of range");
    switch (record.op) {
      case kAllocate:
      case kCalloc:
      case kAligned:
        ExpectNew(record.id);
        return Make(record);
      case kReallocate:
        ExpectNew(record.id);
        return Move(record);
      case kFree:
        return End(record);
      default:
        Fail(path_, "an unknown operation");
    }
  }

 private:
  static constexpr std::uint32_t kNone = 0;          // Slots are counted from 1 in slot_of_.
  static constexpr std::uint8_t kAlignLog2Max = 40;  // More, no program is given.

  void Emit(Op op, std::uint8_t align, std::uint32_t id, std::uint32_t size,
            std::uint8_t old_align = 0) {
    trace_->events.push_back({op, align, old_align, slot_of_[id] - 1, size});
  }
  void Grow(std::uint32_t size) {
    live_ += size;
    if (live_ <= trace_->peak_live) return;
    trace_->peak_live = live_;
    trace_->peak_event = trace_->events.size();
  }
  void ExpectNew(std::uint32_t id) {
    if (slot_of_[id] != kNone) Fail(path_, "an id that is made twice");
  }
  static std::uint32_t SizeOf(const Record &record) { return record.size == 0 ? 1 : record.size; }

  void Make(const Record &record) {
    if (free_.empty()) {
      slot_of_[record.id] = static_cast<std::uint32_t>(++trace_->slots);
    } else {
      slot_of_[record.id] = free_.back();
      free_.pop_back();
    }
    // What anchors.md's figures ask for: 16 from 16 bytes on, below it 8.
    std::uint8_t align = record.size >= 16 ? 4 : 3;
    if (record.op == kAligned && record.align_log2 != 0) align = record.align_log2;
    align_of_[record.id] = align;
    size_of_[record.id] = SizeOf(record);
    Grow(size_of_[record.id]);
    Emit(kAllocate, align, record.id, size_of_[record.id]);
  }
  void Move(const Record &record) {
    if (record.old_id == 0 || slot_of_[record.old_id] == kNone) {
      return Make(record);  // Of an object from before the recording.
    }
    slot_of_[record.id] = slot_of_[record.old_id];
    slot_of_[record.old_id] = kNone;
    align_of_[record.id] = 4;
    size_of_[record.id] = SizeOf(record);
    live_ -= size_of_[record.old_id];
    Grow(size_of_[record.id]);
    Emit(kReallocate, 4, record.id, size_of_[record.id], align_of_[record.old_id]);
  }
  void End(const Record &record) {
    if (slot_of_[record.id] == kNone) return;
    Emit(kFree, align_of_[record.id], record.id, 0);
    live_ -= size_of_[record.id];
    free_.push_back(slot_of_[record.id]);
    slot_of_[record.id] = kNone;
  }

  const std::string &path_;
  Trace *const trace_;
  const std::uint64_t ids_;
  PerId<std::uint32_t> slot_of_;
  PerId<std::uint32_t> size_of_;
  PerId<std::uint8_t> align_of_;
  std::vector<std::uint32_t> free_;
  std::size_t live_ = 0;
};

}  // namespace

Trace ReadTrace(const std::string &path) {
  const bool packed = EndsWith(path, ".xz");
  pid_t child = 0;
  std::FILE *const file = packed ? OpenUnpacked(path, &child) : std::fopen(path.c_str(), "rb");
  Header header;
  if (file == nullptr || std::fread(&header, sizeof header, 1, file) != 1 ||
      std::memcmp(header.magic, "CATRACE1", 8) != 0) {
    Fail(path, "not a trace");
  }
  if (header.ids == 0 || header.ids > UINT32_MAX) Fail(path, "no ids, or too many");
  Trace trace;
  trace.name = NameOf(path);
  try {
    trace.events.reserve(header.events);
  } catch (const std::exception &) {
    Fail(path, "more events than memory");
  }
  Compiler compiler(path, header.ids, &trace);
  for (std::uint64_t i = 0; i < header.events; ++i) {
    Record record;
    if (std::fread(&record, sizeof record, 1, file) != 1) Fail(path, "shorter than it says");
    compiler.Add(record);
  }
  if (packed) {
    CloseUnpacked(path, file, child);
  } else {
    std::fclose(file);
  }
  if (trace.peak_live == 0) Fail(path, "allocates nothing");
  return trace;
}

}  // namespace replay
