package lora

import (
	"strings"
	"testing"
)

func TestMixtureNames(t *testing.T) {
	for _, name := range MixtureNames() {
		if m, err := ParseMixture(strings.ToUpper(name)); err != nil || m.Name != name {
			t.Errorf("ParseMixture(%s) = %v, %v", strings.ToUpper(name), m, err)
		}
	}
	if m, err := ParseMixture("q4_k"); err != nil || m.Name != "q4_k_m" {
		t.Errorf("q4_k is %v, %v", m, err)
	}
	if _, err := ParseMixture("iq2_xxs"); err == nil {
		t.Error("iq2_xxs needs an importance matrix")
	}
}
