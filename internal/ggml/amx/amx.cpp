struct ggml_backend_buffer_type;

// ggml-cpu.cpp takes null for "there is no such buffer type".
ggml_backend_buffer_type * ggml_backend_amx_buffer_type() {
    return nullptr;
}
