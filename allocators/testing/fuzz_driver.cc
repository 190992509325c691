// Stands in for libFuzzer where it is not to be had: runs a fuzz target on files named on the
// command line, or else on 2,000 inputs made from fixed seeds.
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size);

int main(int argc, char **argv) {
  for (int i = 1; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t *>(bytes.data()), bytes.size());
  }
  if (argc > 1) return 0;
  constexpr unsigned kInputs = 2000;
  for (unsigned seed = 1; seed <= kInputs; ++seed) {
    std::mt19937 random(seed);
    std::vector<std::uint8_t> bytes(random() % 1024);
    for (std::uint8_t &byte : bytes) byte = static_cast<std::uint8_t>(random());
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  std::printf("%u inputs, seeds 1 to %u\n", kInputs, kInputs);
  return 0;
}
