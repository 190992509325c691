#!/bin/bash
# Runs a program as root in a small machine with real NUMA nodes, by qemu's software emulation, and
# exits with its status. Placement in it is true; times are not.
#
#   run.sh [NUMA_VM_...=VALUE...] PROGRAM [ARG...]
#
# NUMA_VM_KERNEL  the kernel's image     (install_kernel.sh)
# NUMA_VM_NODES   nodes, one CPU each    (2)
# NUMA_VM_MIB     memory of each node    (512: below 1 GiB in all the kernel has no transparent huge pages)
# NUMA_VM_HUGE    2 MiB pages of each node in the administrator's pool  (8)
# NUMA_VM_KERNEL_ARGS  more for the kernel's command line, such as hugepagesz=1G hugepages=1
set -euo pipefail
while [[ ${1:-} == NUMA_VM_*=* ]]; do
  declare "$1"
  shift
done
kernel=${NUMA_VM_KERNEL:-/opt/context-allocator/vmlinuz}
nodes=${NUMA_VM_NODES:-2} mib=${NUMA_VM_MIB:-512} huge=${NUMA_VM_HUGE:-8}
program=$(readlink -f "$1")
shift
[ -r "$kernel" ] || { echo "numa_vm: no kernel at $kernel: run ./setup --all" >&2; exit 125; }
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/numa_vm.XXXXXX")
trap 'rm -rf "$work"' EXIT

# The whole system: busybox, the program, its libraries, and an init that runs it.
root=$work/root
mkdir -p "$root"/{bin,proc,sys,dev,tmp}
cp "$(command -v busybox)" "$root/bin/busybox"
cp -L "$program" "$root/program"
{ ldd "$program" || true; } | grep -o '/[^ ]*' | while read -r library; do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done
cat >"$root/init" <<END
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t tmpfs tmp /tmp
for pool in /sys/devices/system/node/node*/hugepages/hugepages-2048kB/nr_hugepages; do
  echo $huge > \$pool
done
export TMPDIR=/tmp TEST_TMPDIR=/tmp PATH=/bin NUMA_VM=1
$(env | grep -E '^GTEST_' | sed "s/=\(.*\)/='\1'/; s/^/export /" || true)
/program $*
echo "NUMA_VM_STATUS \$?"
/bin/busybox poweroff -f
END
chmod +x "$root/init"
(cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$work/initramfs"

memory=() distances=()
for ((i = 0; i < nodes; i++)); do
  memory+=(-object "memory-backend-ram,id=m$i,size=${mib}M" -numa "node,nodeid=$i,cpus=$i,memdev=m$i")
  for ((j = i + 1; j < nodes; j++)); do
    distances+=(-numa "dist,src=$i,dst=$j,val=20")
  done
done
timeout "${NUMA_VM_TIMEOUT:-240}" qemu-system-x86_64 -accel tcg -cpu max -smp "$nodes" -m "$((nodes * mib))M" \
  -display none -no-reboot -nodefaults -serial stdio -monitor none "${memory[@]}" "${distances[@]}" \
  -kernel "$kernel" -initrd "$work/initramfs" \
  -append 'console=ttyS0 quiet panic=-1 numa_balancing=disable'" ${NUMA_VM_KERNEL_ARGS:-}" </dev/null |
  tr -d '\r' | tee "$work/log"
status=$(sed -n 's/^NUMA_VM_STATUS \([0-9]*\)$/\1/p' "$work/log")
[ -n "$status" ] || { echo "numa_vm: the program left no status" >&2; exit 125; }
exit "$status"
