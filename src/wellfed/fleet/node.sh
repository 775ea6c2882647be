#!/bin/sh
# What wellfed reads of one node, as one stream on standard output. POSIX sh; needs no Python, no root, installs and
# changes nothing. Records:  H         text files, each behind a line ==> path <==   B path  a binary one, as od -tx1
#                            L path<TAB>target  a symbolic link                D name  what a program prints
#                            M key value  what has no file                     E count  the end, with the records sent
LC_ALL=C; export LC_ALL
PATH=$PATH:/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/bin:/opt/rocm/bin; export PATH
root=${WELLFED_NODE_ROOT:-}
sent=0
printf 'wellfed-node %s\n' '@VERSION@'

# Many files with one process: `head` names each. (The shell's own `read` asks byte by byte, and much of /proc/sys and
# /sys answers only the first.)
texts() { sent=$((sent + 1)); echo 'H'; head -n 100000 /dev/null "$@" 2>/dev/null | sed -e "s|^==> $root|==> |" -e 's/^/ /'; echo; }
binary() {
    [ -r "$1" ] || return 0
    printf 'B %s\n' "${1#"$root"}"; od -An -v -tx1 < "$1" 2>/dev/null; sent=$((sent + 1))
}
link() {
    target=$(readlink "$1" 2>/dev/null) || return 0
    printf 'L %s\t%s\n' "${1#"$root"}" "$target"; sent=$((sent + 1))
}
limit() { if command -v timeout > /dev/null 2>&1; then timeout 30 "$@"; else "$@"; fi; }
program() {
    name=$1; shift
    command -v "$1" > /dev/null 2>&1 || return 0
    printf 'D %s\n' "$name"; limit "$@" 2>&1 < /dev/null | sed 's/^/ /'; echo; sent=$((sent + 1))
}
fact() { printf 'M %s %s\n' "$1" "$2"; sent=$((sent + 1)); }

while read -r pattern; do
    for path in $root$pattern; do [ -L "$path" ] && link "$path"; done
done << 'LINKS'
@LINKS@
LINKS
while read -r pattern; do
    case $pattern in
        */config | */DMI | */smbios_entry_point) for path in $root$pattern; do binary "$path"; done ;;
        *) texts $root$pattern ;; # a pattern: split and expanded on purpose
    esac
done << 'FILES'
@FILES@
FILES
while IFS=: read -r _ controllers group; do
    if [ -n "$controllers" ]; then base=$root/sys/fs/cgroup/$controllers; else base=$root/sys/fs/cgroup; fi
    while :; do
        for name in @GROUP@; do [ -r "$base$group/$name" ] && texts "$base$group/$name"; done
        case $group in ?*/?*) group=${group%/*} ;; /?*) group= ;; *) break ;; esac
    done
done < "$root/proc/self/cgroup" 2>/dev/null
if [ -z "$root" ]; then
    fact architecture "$(uname -m)"
    [ "$(id -u)" = 0 ] && fact root yes || fact root no
    if [ -e /.dockerenv ] || [ -e /run/.containerenv ]; then fact container yes; fi
    fact shared_memory_kib "$(df -kP /dev/shm 2>/dev/null | awk 'NR == 2 {print $2}')"
    if [ -e /dev/nvidia-nvswitchctl ]; then
        cat /proc/[0-9]*/comm 2>/dev/null | grep -q '^nv-fabricmanage' && fact fabric_manager yes || fact fabric_manager no
    fi
    program nvidia-smi-q.txt nvidia-smi -q
    program nvidia-smi-topo.txt nvidia-smi topo -m
    program nvidia-smi-nvlink.txt nvidia-smi nvlink -s
    program amd-smi-static.txt amd-smi static
    program amd-smi-topology.txt amd-smi topology
    program npu-smi.txt npu-smi info
fi
printf 'E %s\n' "$sent"
