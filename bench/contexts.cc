// What a process with very many contexts behind malloc can reach, and what the peers reach of it.
//
//   bazel run -c opt //bench:contexts -- [--contexts N] [--rounds N] [--kind KIND]
//
// KIND is the allocator in each context: bump (if not said), bit_set or trees; the back-end's name then
// says so. "contexts" are of one program: those of a small budget begin in a slot of 1 KiB, so that four
// share a page, and go on in larger ones; those of requests and of many blocks have all of their budget
// from the beginning. Of "contexts_page" each begins in a page of its own, of "contexts_growing" also
// those of requests begin in 1 KiB, and "contexts_huge" has these slots in transparent huge pages.
// (Bit sets and trees, whose headers are larger, begin in 2 KiB.)
//
// Prints CSV: measure,backend,value,unit. Memory is measured once, each back-end in a process of its
// own: `live_contexts` is how many could be alive with a block of 64 bytes each, at most N (1,000,000
// if not said), in at most 4.5 KiB of resident memory for each of the N; `rss_…` is what a context
// adds to the resident memory, every byte of its blocks written. 4,000,000 contexts take 16 GiB, and a
// peer may take as much. Times are medians over rounds (9 if not said) in which the back-ends take
// turns, each in a fresh process, all pinned to one processor; a ratio is the median of the rounds'
// ratios.
//
// Peers: mimalloc's heaps, made the thread's default; jemalloc's arenas; and glibc, which has no such
// thing. rpmalloc's first-class heaps belong here too, but Debian has no package of it.
#include <getopt.h>

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "bench/contexts_backends.h"
#include "bench/contexts_life.h"
#include "bench/contexts_memory.h"
#include "bench/contexts_request.h"
#include "bench/measure.h"

namespace ca_bench {
namespace {

struct Options {
  std::size_t contexts = 1000000;
  int rounds = 9;
};

void Print(const std::string &measure, const std::string &backend, double value, const char *unit) {
  const int digits = value >= 1000 ? 0 : value >= 100 ? 1 : 2;
  std::printf("%s,%s,%.*f,%s\n", measure.c_str(), backend.c_str(), digits, value, unit);
  std::fflush(stdout);
}

template <typename Backend>
void MeasureOneBlock(std::size_t contexts) {
  Population one;
  if (InOwnProcess([=] { return WithOneBlock<Backend>(contexts); }, &one)) {
    Print("live_contexts", Backend::kName, one.reached, "contexts");
    Print("rss_one_block", Backend::kName, one.resident_of_each / 1024, "KiB");
  }
}

template <typename Backend>
void MeasureTenBlocks(std::size_t contexts) {
  Population ten;
  if (InOwnProcess([=] { return WithTenBlocks<Backend>(contexts); }, &ten)) {
    Print("rss_ten_blocks", Backend::kName, ten.resident_of_each / 1024, "KiB");
  }
}

template <typename Backend>
void MeasureMemory(std::size_t contexts) {
  MeasureOneBlock<Backend>(contexts);
  MeasureTenBlocks<Backend>(contexts);
}

struct RowName {
  std::string measure;
  std::string backend;
};

// Rows of times, and of ratios between them.
class Times {
 public:
  void Add(const char *measure, const std::string &backend, std::function<double()> measured) {
    rows_.push_back({{measure, backend}, std::move(measured), {}});
  }
  // Of the times of one row to those of another.
  void AddRatio(const std::string &name, const RowName &row, const RowName &to) {
    ratios_.push_back({name, row, to});
  }
  void Run(int rounds) {
    for (int round = 0; round < rounds; ++round) {
      for (Row &row : rows_) {
        double time = 0;
        if (!InOwnProcess(row.measured, &time)) {
          std::fprintf(stderr, "%s,%s: failed\n", row.name.measure.c_str(),
                       row.name.backend.c_str());
          std::exit(1);
        }
        row.samples.push_back(time);
      }
    }
  }
  void Print() const {
    for (const Row &row : rows_) {
      ca_bench::Print(row.name.measure, row.name.backend, Median(row.samples), "ns");
    }
    for (const Ratio &ratio : ratios_) {
      const std::vector<double> &times = SamplesOf(ratio.row);
      const std::vector<double> &to = SamplesOf(ratio.to);
      std::vector<double> values;
      for (std::size_t i = 0; i < times.size(); ++i) values.push_back(times[i] / to[i]);
      ca_bench::Print(ratio.name, ratio.row.backend, Median(values), "ratio");
    }
  }

 private:
  struct Row {
    RowName name;
    std::function<double()> measured;
    std::vector<double> samples;
  };
  struct Ratio {
    std::string name;
    RowName row;
    RowName to;
  };
  const std::vector<double> &SamplesOf(const RowName &name) const {
    for (const Row &row : rows_) {
      if (row.name.measure == name.measure && row.name.backend == name.backend) return row.samples;
    }
    std::exit(1);
  }
  std::vector<Row> rows_;
  std::vector<Ratio> ratios_;
};

template <typename Backend>
void AddLife(std::size_t contexts, Times *times) {
  const std::size_t some = std::min(contexts, std::size_t{1000});
  times->Add("swap_in_out", Backend::kName, SwapInAndOut<Backend>);
  times->Add("swap_in_out_many", Backend::kName, [=] { return SwapInAndOutInTurn<Backend>(some); });
  times->Add("create_malloc_destroy_warm", Backend::kName, CreateAllocateDestroyWarm<Backend>);
  times->Add("create_malloc_destroy_cold", Backend::kName,
             [=] { return CreateAllocateDestroyCold<Backend, Idle::kPagesKept>(some); });
}

// Where the pages are there before the contexts are.
template <typename Backend>
void AddPresence(std::size_t contexts, Times *times) {
  times->Add("create_malloc_destroy_cold_ahead", Backend::kName,
             [=] { return CreateAllocateDestroyCold<Backend, Idle::kPagesAhead>(contexts); });
  times->Add("create_malloc_destroy_cold_present", Backend::kName,
             [=] { return CreateAllocateDestroyCold<Backend, Idle::kPagesPresent>(contexts); });
}

void AddPlain(PlainMalloc plain, Times *times) {
  times->Add("foreign_free", plain.name, [=] { return FreeForeign(plain); });
  times->Add("request", plain.name, [=] { return RequestFreed(plain); });
}

void AddRequests(Times *times) {
  times->Add("request", "nobody", RequestByNobody);
  times->Add("request", Contexts::kName, RequestInContext<Contexts>);
  times->Add("request", GrowingContexts::kName, RequestInContext<GrowingContexts>);
  times->AddRatio("request_to_contexts", {"request", GrowingContexts::kName},
                  {"request", Contexts::kName});
  times->Add("request_in_heap", "mimalloc", RequestInContext<MimallocHeaps>);
  times->Add("request_in_heap", "jemalloc", RequestInContextReset<JemallocArenas>);
  for (const std::string peer : {"glibc", "mimalloc", "jemalloc"}) {
    times->AddRatio("request_to_" + peer, {"request", Contexts::kName}, {"request", peer});
  }
  for (const char *peer : {"mimalloc", "jemalloc"}) {
    times->AddRatio("request_in_heap_to_contexts", {"request_in_heap", peer},
                    {"request", Contexts::kName});
  }
}

void AddDestroys(Times *times) {
  times->Add("destroy_10", Contexts::kName, [] { return DestroyWithLiveBlocks<Contexts>(10); });
  times->Add("destroy_1000", Contexts::kName, [] { return DestroyWithLiveBlocks<Contexts>(1000); });
  times->Add("destroy_100000", Contexts::kName,
             [] { return DestroyWithLiveBlocks<Contexts>(100000); });
}

void MeasureTimes(const Options &options) {
  const std::size_t some = std::min(options.contexts, std::size_t{1000});
  const std::size_t many =
      std::min(options.contexts, std::size_t{100000});  // Of huge pages' slots.
  Times times;
  times.Add("call_through_pointer", "nobody", CallThroughPointer);
  times.Add("touch_new_page", "kernel", [=] { return TouchNewPage(some); });
  AddLife<Contexts>(options.contexts, &times);
  AddLife<PageContexts>(options.contexts, &times);
  times.Add("swap_in_out_migrating", Contexts::kName,
            [] { return SwapInAndOutMigrating<Contexts>(200); });
  times.Add("swap_in_out_migrating_first", Contexts::kName,
            [] { return SwapInAndOutMigrating<Contexts>(1); });
  AddLife<MimallocHeaps>(options.contexts, &times);
  AddLife<JemallocArenas>(options.contexts, &times);
  AddPresence<Contexts>(many, &times);
  AddPresence<PageContexts>(many, &times);
  times.Add("create_malloc_destroy_cold", HugeContexts::kName,
            [=] { return CreateAllocateDestroyCold<HugeContexts, Idle::kPagesKept>(many); });
  times.Add("create_malloc_destroy_given_back", PageContexts::kName,
            [=] { return CreateAllocateDestroyCold<PageContexts, Idle::kPagesGivenBack>(some); });
  AddDestroys(&times);
  times.Add("foreign_free", Contexts::kName, [] { return FreeForeign(Contexts(1)); });
  AddPlain(GlibcMalloc(), &times);
  AddPlain(MimallocMalloc(), &times);
  AddPlain(JemallocMalloc(), &times);
  AddRequests(&times);
  times.AddRatio("swap_in_out_to_call", {"swap_in_out", Contexts::kName},
                 {"call_through_pointer", "nobody"});
  times.AddRatio("destroy_100000_to_10", {"destroy_100000", Contexts::kName},
                 {"destroy_10", Contexts::kName});
  times.Run(options.rounds);
  times.Print();
}

bool ParseOptions(int argc, char **argv, Options *options) {
  static const option kOptions[] = {{"contexts", required_argument, nullptr, 'c'},
                                    {"kind", required_argument, nullptr, 'k'},
                                    {"rounds", required_argument, nullptr, 'r'},
                                    {nullptr, 0, nullptr, 0}};
  for (int found; (found = getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    const long number = optarg == nullptr ? 0 : std::atol(optarg);
    if (found == 'c' && number > 0) {
      options->contexts = static_cast<std::size_t>(number);
    } else if (found == 'r' && number > 0) {
      options->rounds = static_cast<int>(number);
    } else if (found != 'k' || !Contexts::ChooseKind(optarg)) {
      return false;
    }
  }
  return optind == argc;
}

// jemalloc has more thread-local data than the dynamic linker keeps room for in case a library is
// loaded later; how much it keeps is told before the program starts.
void StartAgainWithRoomForThreadLocals(char **argv) {
  constexpr const char *kVariable = "GLIBC_TUNABLES";
  if (std::getenv(kVariable) != nullptr) return;
  setenv(kVariable, "glibc.rtld.optional_static_tls=8192", 1);
  execv("/proc/self/exe", argv);
}

int Main(int argc, char **argv) {
  Options options;
  if (!ParseOptions(argc, argv, &options)) {
    std::fprintf(stderr,
                 "usage: contexts [--contexts N] [--rounds N] [--kind bump|bit_set|trees]\n");
    return 2;
  }
  StartAgainWithRoomForThreadLocals(argv);
  PinToOneProcessor();
  std::printf("measure,backend,value,unit\n");
  MeasureMemory<Contexts>(options.contexts);
  MeasureMemory<PageContexts>(options.contexts);
  MeasureTenBlocks<GrowingContexts>(options.contexts);
  MeasureOneBlock<HugeContexts>(options.contexts);
  MeasureMemory<MimallocHeaps>(options.contexts);
  MeasureMemory<JemallocArenas>(options.contexts);
  MeasureTimes(options);
  return 0;
}

}  // namespace
}  // namespace ca_bench

int main(int argc, char **argv) { return ca_bench::Main(argc, argv); }
