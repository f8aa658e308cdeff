// The module holds a second copy of ggml, with a log of its own.
#include "plugin.h"

extern "C" void qlora_cuda_set_log(ggml_log_callback log, ggml_abort_callback_t abort) {
    ggml_log_set(log, nullptr);
    ggml_set_abort_callback(abort);
}
