// What the module tells of a device. Plain C: the binding reads it too.
#pragma once

struct qlora_device_info {
    char name[256];
    char uuid[48];     // GPU-8-4-4-4-12 hexadecimal digits, as NVML spells it
    char pci[32];      // domain:bus:device.function
    int  major, minor; // compute capability
    int  code;         // capability that the module's code for it was compiled for, 10 * major + minor; 0 where there is none
    int  full;         // 1 when too little memory is free to start CUDA on it; code is 0 then
};
