#include "gemm.cuh"

#include <array>
#include <map>

namespace {

// What cuBLAS's choice depends on.
typedef std::array<int64_t, 13> shape_key;

struct plan {
    cublasLtMatmulDesc_t   desc;
    cublasLtMatrixLayout_t a, b, c, d;
    cublasLtMatmulAlgo_t   algo;
};

int64_t alignment(const void * p) {
    const uintptr_t bits = (uintptr_t) p;
    return bits == 0 ? 256 : std::min<int64_t>(256, (int64_t) (bits & -bits));
}

#define QL_LT(expr)                          \
    if ((expr) != CUBLAS_STATUS_SUCCESS) {   \
        return cudaErrorNotSupported;        \
    }

cudaError_t choose(const qlora_launch & l, const shape_key & key, plan & p) {
    cublasLtMatmulPreference_t pref;
    QL_LT(cublasLtMatmulPreferenceCreate(&pref));
    const uint32_t align[4] = {(uint32_t) key[9], (uint32_t) key[10], (uint32_t) key[11], (uint32_t) key[12]};
    const uint32_t schemes  = CUBLASLT_REDUCTION_SCHEME_NONE | CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    QL_LT(cublasLtMatmulPreferenceSetAttribute(pref, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &l.workspace_size, sizeof l.workspace_size));
    QL_LT(cublasLtMatmulPreferenceSetAttribute(pref, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &schemes, sizeof schemes));
    QL_LT(cublasLtMatmulPreferenceSetAttribute(pref, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &align[0], 4));
    QL_LT(cublasLtMatmulPreferenceSetAttribute(pref, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &align[1], 4));
    QL_LT(cublasLtMatmulPreferenceSetAttribute(pref, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &align[2], 4));
    QL_LT(cublasLtMatmulPreferenceSetAttribute(pref, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &align[3], 4));
    cublasLtMatmulHeuristicResult_t found;
    int                             n = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(l.lt, p.desc, p.a, p.b, p.c, p.d, pref, 1, &found, &n);
    cublasLtMatmulPreferenceDestroy(pref);
    if (status != CUBLAS_STATUS_SUCCESS || n == 0) {
        return cudaErrorNotSupported;
    }
    p.algo = found.algo;
    return cudaSuccess;
}

cudaError_t make(const qlora_launch & l, const shape_key & key, bool ta, bool tb, int64_t m, int64_t n, int64_t k, cudaDataType_t type,
                 cudaDataType_t out, plan & p) {
    const cublasOperation_t op_a = ta ? CUBLAS_OP_T : CUBLAS_OP_N, op_b = tb ? CUBLAS_OP_T : CUBLAS_OP_N;
    QL_LT(cublasLtMatmulDescCreate(&p.desc, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    QL_LT(cublasLtMatmulDescSetAttribute(p.desc, CUBLASLT_MATMUL_DESC_TRANSA, &op_a, sizeof op_a));
    QL_LT(cublasLtMatmulDescSetAttribute(p.desc, CUBLASLT_MATMUL_DESC_TRANSB, &op_b, sizeof op_b));
    QL_LT(cublasLtMatrixLayoutCreate(&p.a, type, (uint64_t) (ta ? k : m), (uint64_t) (ta ? m : k), key[5]));
    QL_LT(cublasLtMatrixLayoutCreate(&p.b, type, (uint64_t) (tb ? n : k), (uint64_t) (tb ? k : n), key[6]));
    QL_LT(cublasLtMatrixLayoutCreate(&p.c, out, (uint64_t) m, (uint64_t) n, key[7]));
    QL_LT(cublasLtMatrixLayoutCreate(&p.d, out, (uint64_t) m, (uint64_t) n, key[8]));
    return choose(l, key, p);
}

} // namespace

struct qlora_plans {
    std::map<shape_key, plan> known;
};

qlora_plans * qlora_plans_new() {
    return new qlora_plans{};
}

void qlora_plans_free(qlora_plans * plans) {
    for (auto & entry : plans->known) {
        cublasLtMatmulDescDestroy(entry.second.desc);
        for (cublasLtMatrixLayout_t layout : {entry.second.a, entry.second.b, entry.second.c, entry.second.d}) {
            cublasLtMatrixLayoutDestroy(layout);
        }
    }
    delete plans;
}

cudaError_t qlora_gemm(const qlora_launch & l, bool ta, bool tb, int64_t m, int64_t n, int64_t k, float alpha, const qlora_matrix & a,
                       const qlora_matrix & b, float beta, const qlora_matrix & c, const qlora_matrix & d) {
    if (a.type != b.type || c.type != d.type) {
        return cudaErrorInvalidValue;
    }
    const int64_t   kind = ta | tb << 1 | (beta != 0) << 2 | (int64_t) a.type << 8 | (int64_t) d.type << 24;
    const shape_key key  = {kind, m, n, k, 0, a.ld, b.ld, c.ld, d.ld, alignment(a.data), alignment(b.data), alignment(c.data), alignment(d.data)};
    auto            at   = l.plans->known.find(key);
    if (at == l.plans->known.end()) {
        plan p;
        QL_TRY(make(l, key, ta, tb, m, n, k, a.type, d.type, p));
        at = l.plans->known.emplace(key, p).first;
    }
    const plan & p = at->second;
    QL_LT(cublasLtMatmul(l.lt, p.desc, &alpha, a.data, p.a, b.data, p.b, &beta, c.data, p.c, const_cast<void *>(d.data), p.d, &p.algo,
                         l.workspace, l.workspace_size, l.stream));
    return cudaSuccess;
}
