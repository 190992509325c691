// There is no adaptor for GLib: since 2.46 its hook, g_mem_set_vtable(), does nothing. This test
// tells when that changes.
#include <glib.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace {

int calls;

gpointer CountedMalloc(gsize size) {
  ++calls;
  return std::malloc(size);
}

gpointer CountedRealloc(gpointer ptr, gsize size) {
  ++calls;
  return std::realloc(ptr, size);
}

void CountedFree(gpointer ptr) {
  ++calls;
  std::free(ptr);
}

void Ignore(const gchar *, GLogLevelFlags, const gchar *, gpointer) {}

TEST(ForGlibTest, TheHookIsIgnoredAndMemoryIsLibcs) {
  g_log_set_default_handler(Ignore, nullptr);  // It says so on each call.
  GMemVTable table = {};
  table.malloc = CountedMalloc;
  table.realloc = CountedRealloc;
  table.free = CountedFree;
  g_mem_set_vtable(&table);
  g_free(g_realloc(g_malloc(10), 100));
  g_string_free(g_string_new("text"), TRUE);
  EXPECT_EQ(calls, 0);
  EXPECT_TRUE(g_mem_is_system_malloc());
  std::free(g_strdup("what GLib allocates, libc frees"));
}

}  // namespace
