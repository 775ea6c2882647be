"""Asking an endpoint that nobody vouches for: one client for `bench` and `watch`, with deadlines, limits and doubts."""
