package train

// MicroSeed is the dropout seed of micro-batch micro, from 0, of step, from 1:
// a pure function, so that a resumed run draws the same masks.
func MicroSeed(seed uint64, step, micro int) uint64 {
	return mix(mix(mix(seed)^uint64(step)) ^ uint64(micro))
}

// mix is the output function of splitmix64 (Steele, Lea and Flood 2014), a
// bijection in which every input bit reaches every output bit.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
