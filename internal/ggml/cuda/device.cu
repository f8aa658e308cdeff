// What the binary asks of CUDA before it chooses a device.
#include "plugin.h"

#include <cstdio>
#include <cuda_runtime.h>

// Never launched: CUDA tells of it which of the module's code a device takes. PTX that was made for an older one stays what it
// was when a newer one compiles it: a kernel without a body there has none here.
static __global__ void probe() {}

static void print_uuid(char * out, size_t size, const cudaUUID_t & uuid) {
    const unsigned char * b = (const unsigned char *) uuid.bytes;
    snprintf(out, size, "GPU-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4], b[5],
             b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static cudaError_t code_for(int index, int * code) {
    int                before = 0;
    cudaFuncAttributes attributes;
    cudaError_t        err = cudaGetDevice(&before);
    if (err == cudaSuccess && (err = cudaSetDevice(index)) == cudaSuccess) {
        err = cudaFuncGetAttributes(&attributes, probe);
        cudaSetDevice(before);
    }
    cudaGetLastError(); // a missing kernel must not surface in a later check
    *code = err == cudaSuccess ? attributes.ptxVersion : 0;
    return err;
}

extern "C" int qlora_cuda_device_info(int index, struct qlora_device_info * info) {
    cudaDeviceProp    properties;
    const cudaError_t err = cudaGetDeviceProperties(&properties, index);
    if (err != cudaSuccess) {
        cudaGetLastError();
        return err;
    }
    *info = {};
    snprintf(info->name, sizeof info->name, "%s", properties.name);
    print_uuid(info->uuid, sizeof info->uuid, properties.uuid);
    info->major = properties.major;
    info->minor = properties.minor;
    info->full  = code_for(index, &info->code) == cudaErrorMemoryAllocation;
    return cudaDeviceGetPCIBusId(info->pci, sizeof info->pci, index);
}

extern "C" void qlora_cuda_versions(int * runtime, int * driver) {
    *runtime = CUDART_VERSION;
    *driver  = 0;
    if (cudaDriverGetVersion(driver) != cudaSuccess) {
        cudaGetLastError();
    }
}

extern "C" const char * qlora_cuda_architectures(void) {
    return QLORA_ARCHITECTURES;
}
