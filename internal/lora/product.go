package lora

// product is the sum of all adapters of a tensor as one product: the A's on
// top of each other, the B's side by side with the scales in them.
type product struct {
	a    []float32 // rank rows of n_in values
	b    []float32 // n_out rows of rank values
	rank int
}

// product loads and joins what the adapters do to a step's tensor; nil when
// they do nothing.
func (p *Plan) product(s *Step) (*product, error) {
	if !s.Adapted {
		return nil, nil
	}
	var pairs []Pair
	for _, a := range p.adapters {
		shape, ok := a.Pair(s.Tensor.Name)
		if !ok {
			continue
		}
		pair, err := a.Load(shape)
		if err != nil {
			return nil, err
		}
		scale := float32(a.Factor * a.Scale(pair))
		for i := range pair.B {
			pair.B[i] *= scale
		}
		pairs = append(pairs, pair)
	}
	return join(pairs), nil
}

func join(pairs []Pair) *product {
	if len(pairs) == 1 {
		return &product{pairs[0].A, pairs[0].B, pairs[0].Rank}
	}
	pr := &product{}
	for _, p := range pairs {
		pr.a = append(pr.a, p.A...)
		pr.rank += p.Rank
	}
	for i := range int(pairs[0].NOut) {
		for _, p := range pairs {
			pr.b = append(pr.b, p.B[i*p.Rank:(i+1)*p.Rank]...)
		}
	}
	return pr
}
