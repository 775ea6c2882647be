"""Readers of one thing each: /proc, control groups, sockets, NVML, engines. They never raise; None is unreadable."""
