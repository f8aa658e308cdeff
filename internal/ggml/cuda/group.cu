// Groups of linears with their adapters (ops.h): the scratch gets [W | f0 B] for the forward product and [W; A] for the
// backward one, so that the adapters cost a few more columns of one large product instead of passes over its result.
#include "dequant.cuh"
#include "gemm.cuh"
#include "initial.cuh"
#include "launch.cuh"
#include "skinny.cuh"

namespace {

struct group {
    const ggml_tensor * w[QLORA_GROUP];
    int64_t             in, width[QLORA_GROUP], out, rank, tail;
    int                 mask, adapters;
    const float *       a, *b; // every A, every B
};

// Rounded up so that rows stay whole cache lines and whole steps of the matrix kernels: on an H100 a product over 3616
// columns took 15 % longer than one over 3584.
int64_t tail_of(int64_t ranks) {
    return (ranks + QLORA_TAIL - 1) / QLORA_TAIL * QLORA_TAIL;
}

void set_adapters(group & g, const ggml_tensor * flat, int64_t rank, int mask) {
    g.rank = rank, g.mask = mask, g.adapters = __builtin_popcount((unsigned) mask), g.tail = tail_of(rank * g.adapters);
    g.a = flat == nullptr ? nullptr : (const float *) flat->data;
    g.b = g.a == nullptr ? nullptr : g.a + g.in * rank * g.adapters;
}

// Sources 0 to 2 are the weights.
group group_of(const ggml_tensor * dst, const ggml_tensor * flat, const qlora_op * op) {
    group g = {};
    for (int i = 0; i < QLORA_GROUP; i++) {
        g.w[i]     = dst->src[i];
        g.width[i] = g.w[i] == nullptr ? 0 : g.w[i]->ne[1];
        g.out += g.width[i];
    }
    g.in = g.w[0]->ne[0];
    set_adapters(g, flat, op->iparam[1], op->iparam[2]);
    return g;
}

// rows [0, ranks) of A, then zeros up to tail.
template <typename T> __global__ void pack_a(T * dst, const float * a, int64_t values, int64_t padded) {
    const int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x;
    if (i < padded) {
        dst[i] = from_f32<T>(i < values ? a[i] : 0.0f);
    }
}

struct b_layout {
    const float * b;
    int64_t       width[QLORA_GROUP];
    int           mask, rank, tail;
    float         scale;
};

// Row o of [out, tail] holds the scaled row of B of the linear that o belongs to, in the columns of its adapter, and zeros
// elsewhere. Rows are written ld apart.
template <typename T> __global__ void pack_b(T * dst, int64_t ld, int64_t out, b_layout p) {
    const int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= out * p.tail) {
        return;
    }
    const int64_t row = i / p.tail;
    const int     column = (int) (i % p.tail);
    int64_t       o = row, at = 0;
    int           adapter = 0, part = 0;
    while (o >= p.width[part]) {
        if (p.mask >> part & 1) {
            at += p.width[part] * p.rank;
            adapter++;
        }
        o -= p.width[part++];
    }
    const int   r = column - adapter * p.rank;
    const bool  there = (p.mask >> part & 1) && r >= 0 && r < p.rank;
    dst[row * ld + column] = from_f32<T>(there ? p.scale * p.b[at + o * p.rank + r] : 0.0f);
}

template <typename T> cudaError_t write_a(const group & g, T * dst, cudaStream_t stream) {
    const int64_t values = g.in * g.rank * g.adapters, padded = g.in * g.tail;
    pack_a<T><<<blocks_for(padded, 256), 256, 0, stream>>>(dst, g.a, values, padded);
    return cudaGetLastError();
}

template <typename T> cudaError_t write_b(const group & g, T * dst, int64_t ld, float scale, cudaStream_t stream) {
    const b_layout p = {g.b, {g.width[0], g.width[1], g.width[2]}, g.mask, (int) g.rank, (int) g.tail, scale};
    pack_b<T><<<blocks_for(g.out * g.tail, 256), 256, 0, stream>>>(dst, ld, g.out, p);
    return cudaGetLastError();
}

// The weights one below the other, rows ld apart. A single one of the right type and without adapters is used where it is.
cudaError_t weights(const group & g, int type, ggml_tensor * scratch, int64_t ld, bool held, const qlora_launch & l, qlora_matrix & out) {
    const size_t size = type == GGML_TYPE_F32 ? 4 : 2;
    if (g.tail == 0 && g.w[1] == nullptr && g.w[0]->type == type) {
        out = matrix_of(g.w[0]);
        return cudaSuccess;
    }
    if (scratch == nullptr || scratch->ne[0] * scratch->nb[0] < (size_t) (g.in * g.out + g.tail * (g.in + g.out)) * size) {
        return cudaErrorInvalidValue;
    }
    out = {scratch->data, cuda_type(type), ld};
    int64_t row = 0;
    for (int i = 0; i < QLORA_GROUP && g.w[i] != nullptr && !held; i++) {
        QL_TRY(qlora_dequantise(g.w[i], type, (char *) scratch->data + (size_t) (row * ld) * size, ld, l.stream));
        row += g.width[i];
    }
    return cudaSuccess;
}

} // namespace

cudaError_t qlora_cuda_group(ggml_tensor * y, const qlora_op * op, const qlora_launch & l) {
    const ggml_tensor * x = y->src[3];
    const group         g = group_of(y, y->src[5], op);
    qlora_matrix        w, c;
    float               beta;
    QL_TRY(weights(g, x->type, y->src[6], g.in + g.tail, false, l, w));
    if (g.tail > 0) {
        QL_TRY(with_type(x->type, [&](auto t) {
            using T = decltype(t);
            return write_b(g, (T *) w.data + g.in, w.ld, op->fparam[0], l.stream);
        }));
    }
    QL_TRY(qlora_initial(y, y->src[4], op->iparam[0], l, beta, c));
    return qlora_gemm(l, true, false, g.out, x->ne[1], g.in + g.tail, 1.0f, w, matrix_of(x), beta, c, matrix_of(y));
}

cudaError_t qlora_cuda_group_back(ggml_tensor * dx, const qlora_op * op, const qlora_launch & l) {
    const ggml_tensor * dy = dx->src[3];
    const group         g  = group_of(dx, dx->src[4], op);
    const qlora_matrix  d  = matrix_of(dx);
    qlora_matrix        w;
    QL_TRY(weights(g, dy->type, dx->src[5], g.in, op->iparam[3] != 0, l, w));
    if (g.tail > 0) {
        QL_TRY(with_type(dy->type, [&](auto t) {
            using T = decltype(t);
            return write_a(g, (T *) w.data + g.in * g.out, l.stream);
        }));
    }
    return qlora_gemm(l, false, false, g.in, dy->ne[1], g.out + g.tail, 1.0f, w, matrix_of(dy), op->iparam[0] ? 1.0f : 0.0f, d, d);
}

cudaError_t qlora_cuda_group_u(ggml_tensor * u, const qlora_op * op, const qlora_launch & l) {
    const ggml_tensor *x = u->src[0], *scratch = u->src[2], *keep = u->src[3];
    const qlora_matrix d = matrix_of(u), none = {nullptr, d.type, 0};
    group              g = {};
    bool               done;
    g.in = x->ne[0];
    set_adapters(g, u->src[1], op->iparam[1], (1 << op->iparam[2]) - 1);
    QL_TRY(with_type(x->type, [&](auto t) {
        using T = decltype(t);
        return write_a(g, (T *) scratch->data, l.stream);
    }));
    QL_TRY(qlora_skinny(l, x->type, matrix_of(x), scratch->data, x->ne[1], g.in, (g.rank * g.adapters + 7) / 8 * 8, g.tail, d,
                        keep == nullptr ? none : matrix_of(keep), done));
    if (done) {
        return cudaSuccess;
    }
    const qlora_matrix a = {scratch->data, cuda_type(x->type), g.in};
    QL_TRY(qlora_gemm(l, true, false, g.tail, x->ne[1], g.in, 1.0f, a, matrix_of(x), 0.0f, d, d));
    return keep == nullptr ? cudaSuccess
                           : cudaMemcpy2DAsync(keep->data, keep->nb[1], u->data, u->nb[1], (size_t) keep->ne[0] * u->nb[0], (size_t) u->ne[1],
                                               cudaMemcpyDeviceToDevice, l.stream);
}

// cuBLAS's kernels are better here than ours for U: rows of dY are long, and ours reads all of B again for every few of them.
cudaError_t qlora_cuda_group_v(ggml_tensor * v, const qlora_op * op, const qlora_launch & l) {
    const ggml_tensor *dy = v->src[0], *flat = v->src[1], *scratch = v->src[2];
    group              g = {};
    for (int i = 0; i < QLORA_GROUP; i++) {
        g.width[i] = op->iparam[3 + i];
        g.out += g.width[i];
    }
    // the flat vector holds rank * (in + out) values of every adapted linear
    int64_t values = flat->ne[0], adapters = 0;
    for (int i = 0; i < QLORA_GROUP; i++) {
        if (op->iparam[2] >> i & 1) {
            values -= op->iparam[1] * g.width[i];
            adapters++;
        }
    }
    g.in = values / (op->iparam[1] * adapters);
    set_adapters(g, flat, op->iparam[1], op->iparam[2]);
    QL_TRY(with_type(dy->type, [&](auto t) {
        using T = decltype(t);
        return write_b(g, (T *) scratch->data, g.tail, op->fparam[0], l.stream);
    }));
    const qlora_matrix b = {scratch->data, cuda_type(dy->type), g.tail}, d = matrix_of(v);
    return qlora_gemm(l, false, false, g.tail, dy->ne[1], g.out, 1.0f, b, matrix_of(dy), 0.0f, d, d);
}
