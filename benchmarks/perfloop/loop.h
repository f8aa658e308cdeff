// The least that a program on libllama's C interface does to measure it.
#pragma once

// perf_loop prints rates of r rounds of a prompt of p tokens, then of n tokens one by one, in tokens per second, after one
// round of each that is not counted. It returns 0 when all went well.
int perf_loop(const char * model, int p, int n, int r, int threads);
