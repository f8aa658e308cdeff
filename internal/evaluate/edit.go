package evaluate

// EditSimilarity is 1 - d/n, where d is the Levenshtein distance of a and b in
// characters and n the length of the longer. Two empty texts are alike.
func EditSimilarity(a, b string) float64 {
	x, y := []rune(a), []rune(b)
	longer := max(len(x), len(y))
	if longer == 0 {
		return 1
	}
	return 1 - float64(levenshtein(x, y))/float64(longer)
}

// levenshtein counts the insertions, deletions and substitutions between x
// and y, row by row of the usual table.
func levenshtein(x, y []rune) int {
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		diagonal := row[0]
		row[0] = i + 1
		for j := range y {
			substitute := diagonal
			if x[i] != y[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(y)]
}
