package scan

import "bytes"

// Object walks over the members of a JSON object:
//
//	for o := scan.Members(raw); o.Next(); {
//		use(o.Key, o.Value)
//	}
//
// OK tells afterwards whether the walk came to the end of a well-formed object
// with nothing behind it. After a walk that broke off, Key is the last key seen.
type Object struct {
	Key   []byte // as it is spelt between its quotes; escapes are not resolved
	Value []byte // the whole value

	b    []byte
	i    int
	more bool
	ok   bool
}

// Members starts a walk over raw.
func Members(raw []byte) Object {
	o := Object{b: raw, i: space(raw, 0)}
	o.i, o.more, o.ok = open(raw, o.i, '{', '}')
	return o
}

// open steps into a bracket; done is set when it is closed at once.
func open(b []byte, i int, left, right byte) (next int, more, done bool) {
	if i >= len(b) || b[i] != left {
		return i, false, false
	}
	i = space(b, i+1)
	if i < len(b) && b[i] == right {
		return i, false, space(b, i+1) == len(b)
	}
	return i, true, false
}

// Next goes to the next member and tells whether there is one.
func (o *Object) Next() bool {
	if !o.more {
		return false
	}
	o.more = false
	if o.i >= len(o.b) || o.b[o.i] != '"' {
		return false
	}
	end := skipString(o.b, o.i)
	if end < 0 {
		return false
	}
	o.Key = o.b[o.i+1 : end-1]
	colon := space(o.b, end)
	if colon >= len(o.b) || o.b[colon] != ':' {
		return false
	}
	start := space(o.b, colon+1)
	if end = skip(o.b, start, 1); end < 0 {
		return false
	}
	o.Value = o.b[start:end]
	o.i, o.more, o.ok = separator(o.b, end, '}')
	return true
}

// Name is Key decoded; ok is false when its escapes are broken.
func (o *Object) Name() (name string, ok bool) {
	if bytes.IndexByte(o.Key, '\\') < 0 {
		return string(o.Key), true
	}
	return String(append(append([]byte{'"'}, o.Key...), '"'))
}

// OK tells whether the whole object was walked and is well-formed.
func (o *Object) OK() bool { return o.ok }

// separator passes a comma, or the closing bracket with nothing behind it.
func separator(b []byte, i int, right byte) (next int, more, done bool) {
	i = space(b, i)
	if i >= len(b) {
		return i, false, false
	}
	switch b[i] {
	case ',':
		return space(b, i+1), true, false
	case right:
		return i, false, space(b, i+1) == len(b)
	default:
		return i, false, false
	}
}

// Array walks over the items of a JSON array, as Object does over members.
type Array struct {
	Value []byte

	b    []byte
	i    int
	more bool
	ok   bool
}

// Items starts a walk over raw.
func Items(raw []byte) Array {
	a := Array{b: raw, i: space(raw, 0)}
	a.i, a.more, a.ok = open(raw, a.i, '[', ']')
	return a
}

// Next goes to the next item and tells whether there is one.
func (a *Array) Next() bool {
	if !a.more {
		return false
	}
	a.more = false
	end := skip(a.b, a.i, 1)
	if end < 0 {
		return false
	}
	a.Value = a.b[a.i:end]
	a.i, a.more, a.ok = separator(a.b, end, ']')
	return true
}

// OK tells whether the whole array was walked and is well-formed.
func (a *Array) OK() bool { return a.ok }

// Kind is the kind of a value by its first byte: '{', '[', '"', 't', 'f', 'n'
// or '0' for a number; 0 when there is none.
func Kind(raw []byte) byte {
	i := space(raw, 0)
	if i >= len(raw) {
		return 0
	}
	switch c := raw[i]; c {
	case '{', '[', '"', 't', 'f', 'n':
		return c
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return '0'
	default:
		return 0
	}
}
