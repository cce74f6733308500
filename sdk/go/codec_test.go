package taskyard

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestWhatJSONCanCarry(t *testing.T) {
	type inner struct {
		Text string
		Raw  json.RawMessage
	}
	for _, one := range []struct {
		value any
		want  string
	}{
		{nil, `null`},
		{"<&>", `"<&>"`},
		{json.RawMessage(`{"a" : 1.0, "a": 2}`), `{"a" : 1.0, "a": 2}`},
		{json.RawMessage(nil), `null`},
		{json.Number(strings.Repeat("9", 308)), strings.Repeat("9", 308)},
		{json.Number("-" + strings.Repeat("9", 308)), "-" + strings.Repeat("9", 308)},
		{json.RawMessage(`"\ud83d\ude00 \\ud800 \u0000"`), `"\ud83d\ude00 \\ud800 \u0000"`},
		{"\uFFFD", "\"\uFFFD\""},
		{`\ufffd`, `"\\ufffd"`},
		{inner{"x", json.RawMessage(`"\ufffd"`)}, `{"Text":"x","Raw":"\ufffd"}`},
		{[]any{true, 1e300, "}"}, `[true,1e+300,"}"]`},
	} {
		if got, err := encodeJSON(one.value); err != nil || string(got) != one.want {
			t.Errorf("%v became %s, not %s: %v", one.value, got, one.want, err)
		}
	}
}

func TestWhatJSONCannotCarry(t *testing.T) {
	type hidden struct{ Names []map[string]*string }
	broken := "a\xffb"
	for name, value := range map[string]any{
		"NaN":             math.NaN(),
		"infinity":        []float64{math.Inf(-1)},
		"a large number":  json.RawMessage(`[1e400]`),
		"too many digits": json.Number(strings.Repeat("9", 309)),
		"broken text":     broken,
		"a broken key":    map[string]int{broken: 1},
		"broken deeper":   hidden{[]map[string]*string{{"a": &broken}}},
		"broken raw":      json.RawMessage("\"\xff\""),
		"half a pair":     json.RawMessage(`["\ud800"]`),
		"the other half":  json.RawMessage(`["\udc00"]`),
		"a pair of highs": json.RawMessage(`"\ud800\ud800"`),
		"no document":     json.RawMessage(`{"a"}`),
		"two documents":   json.RawMessage(`1 2`),
		"a mark":          json.RawMessage("\ufeff1"),
		"a function":      func() {},
		"65 levels":       json.RawMessage(strings.Repeat("[", 65) + strings.Repeat("]", 65)),
	} {
		if got, err := encodeJSON(value); err == nil {
			t.Errorf("%s became %.40s", name, got)
		}
	}
}

// What encodeJSON lets through any reader of JSON reads as it was meant.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{`{"a": [1, -2.5e3, "\u00e9\ud83d\ude00"]}`, `"\ud800"`, `1e400`, `[[[]]]`, `"\\\""`, "\"\xff\""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		encoded, err := encodeJSON(json.RawMessage(document))
		if err != nil || len(document) == 0 {
			return
		}
		var value any
		if err := decodeJSON(encoded, &value); err != nil {
			t.Fatalf("%q can't be read: %v", encoded, err)
		}
		if _, err := encodeJSON(value); err != nil {
			t.Fatalf("%q can't be written again: %v", encoded, err)
		}
	})
}

func TestSettingsComeFromOptionsFirst(t *testing.T) {
	variables := map[string]string{
		"TASKYARD_DISPATCHERS": "a, b:1,[::1]:2,a", "TASKYARD_WORKER_LABELS": "io=ssd, zone=a", "TASKYARD_WORKER_SLOTS": "7",
		"TASKYARD_WORKER_GRACE": "1.5", "TASKYARD_NAMESPACE": "n", "TASKYARD_WORKER_NAME": "w", "TASKYARD_POD_NAME": "p",
	}
	env := func(name string) string { return variables[name] }
	got, err := resolveWorker(WorkerOptions{Labels: map[string]string{"io": "hdd"}}, env)
	if err != nil {
		t.Fatal(err)
	}
	if addresses := strings.Join(got.dispatchers, " "); addresses != "a:7071 b:1 [::1]:2" {
		t.Errorf("the dispatchers are %s", addresses)
	}
	if got.labels["io"] != "hdd" || got.labels["zone"] != "a" || got.slots != 7 || got.grace.Seconds() != 1.5 {
		t.Errorf("the settings are %+v", got)
	}
	if got.namespace != "n" || got.name != "w" || got.pod != "p" {
		t.Errorf("the settings are %+v", got)
	}
	for name, wrong := range map[string]string{
		"TASKYARD_WORKER_SLOTS": "many", "TASKYARD_WORKER_GRACE": "-1", "TASKYARD_WORKER_LABELS": "io", "TASKYARD_DISPATCHERS": "a:b",
	} {
		right := variables[name]
		variables[name] = wrong
		if _, err := resolveWorker(WorkerOptions{}, env); err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(strings.TrimPrefix(name, "TASKYARD_"))) {
			t.Errorf("%s=%s: %v", name, wrong, err)
		}
		variables[name] = right
	}
}
