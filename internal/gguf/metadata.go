package gguf

// KVs lists all metadata in file order. Of a split model these are the
// entries of the first file.
func (f *File) KVs() []KV { return f.kvs }

// Get finds a metadata value by key.
func (f *File) Get(key string) (any, bool) {
	i, ok := f.keyIndex[key]
	if !ok {
		return nil, false
	}
	return f.kvs[i].Value, true
}

// String gives a string value; false when absent or of another type.
func (f *File) String(key string) (string, bool) {
	v, _ := f.Get(key)
	s, ok := v.(string)
	return s, ok
}

// Uint gives a value of any integer type that is not negative.
func (f *File) Uint(key string) (uint64, bool) {
	v, _ := f.Get(key)
	return toUint(v)
}

// Float gives a float32 or float64 value.
func (f *File) Float(key string) (float64, bool) {
	v, _ := f.Get(key)
	switch v := v.(type) {
	case float32:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// Bool gives a bool value.
func (f *File) Bool(key string) (value, ok bool) {
	v, _ := f.Get(key)
	value, ok = v.(bool)
	return value, ok
}

// Strings gives a string array. The slice belongs to the file.
func (f *File) Strings(key string) ([]string, bool) {
	v, _ := f.Get(key)
	s, ok := v.([]string)
	return s, ok
}

// Floats gives a float32 array, or a float64 array rounded to float32.
func (f *File) Floats(key string) ([]float32, bool) {
	v, _ := f.Get(key)
	switch v := v.(type) {
	case []float32:
		return v, true
	case []float64:
		out := make([]float32, len(v))
		for i, x := range v {
			out[i] = float32(x)
		}
		return out, true
	}
	return nil, false
}

// Ints gives an array of any integer type whose values fit an int64.
func (f *File) Ints(key string) ([]int64, bool) {
	v, _ := f.Get(key)
	return toInts(v)
}
