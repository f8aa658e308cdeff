#include "profile.cuh"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {
constexpr int KINDS = 64, BATCH = 2048; // marks between two waits for the device
}

struct qlora_profile {
    std::string              path;
    std::vector<cudaEvent_t> events; // BATCH + 1: the end of a node is the start of the next
    std::vector<int>         kinds;
    double                   ms[KINDS] = {}, host_us[KINDS] = {};
    long                     calls[KINDS] = {};
};

qlora_profile * qlora_profile_new() {
    const char * path = getenv("QLORA_CUDA_PROFILE");
    if (path == nullptr || *path == 0) {
        return nullptr;
    }
    qlora_profile * p = new qlora_profile{};
    p->path = path;
    p->events.resize(BATCH + 1);
    for (cudaEvent_t & e : p->events) {
        cudaEventCreate(&e);
    }
    return p;
}

static void drain(qlora_profile * p) {
    for (size_t i = 0; i < p->kinds.size(); i++) {
        float ms = 0;
        cudaEventSynchronize(p->events[i + 1]);
        cudaEventElapsedTime(&ms, p->events[i], p->events[i + 1]);
        p->ms[p->kinds[i]] += ms;
        p->calls[p->kinds[i]]++;
    }
    p->kinds.clear();
}

// The first mark after a wait only starts the clock, so that time spent on the host is nobody's.
void qlora_profile_mark(qlora_profile * p, int kind, double host_us, cudaStream_t stream) {
    if (p == nullptr) {
        return;
    }
    if (p->kinds.size() == BATCH) {
        drain(p);
    }
    if (p->kinds.empty()) {
        cudaEventRecord(p->events[0], stream);
        p->kinds.push_back(KINDS - 1);
        cudaEventRecord(p->events[1], stream);
        return;
    }
    p->kinds.push_back(kind);
    p->host_us[kind] += host_us;
    cudaEventRecord(p->events[p->kinds.size()], stream);
}

void qlora_profile_free(qlora_profile * p, const char * (*name)(int kind)) {
    if (p == nullptr) {
        return;
    }
    drain(p);
    if (FILE * f = fopen(p->path.c_str(), "w")) {
        fprintf(f, "operation\tcalls\tdevice_ms\thost_ms\n");
        for (int k = 0; k < KINDS - 1; k++) {
            if (p->calls[k] > 0) {
                fprintf(f, "%s\t%ld\t%.3f\t%.3f\n", name(k), p->calls[k], p->ms[k], p->host_us[k] / 1e3);
            }
        }
        fclose(f);
    }
    for (cudaEvent_t e : p->events) {
        cudaEventDestroy(e);
    }
    delete p;
}
