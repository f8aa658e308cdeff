// Times of the attention kernels on the shapes of the training benchmarks.
#pragma once

// The kernels that training takes, with delta and the sum of the backward pass.
void time_shapes();
// Other tile sizes beside the chosen ones.
void time_variants();
