package taskyard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"sync"
	"unicode/utf8"
)

const (
	maxDepth       = 64
	maxDigits      = 308
	maxResultBytes = 1 << 20
)

var (
	errTooDeep = fmt.Errorf("it is nested deeper than %d levels", maxDepth)
	errNotUTF8 = errors.New("it has text that is not UTF-8")
	errNoJSON  = errors.New("it is no JSON document")
	null       = []byte("null")
)

// encodeJSON is the value as the JSON that servers take: UTF-8, finite numbers, at most 64 levels.
func encodeJSON(value any) ([]byte, error) {
	document, err := marshal(value)
	if err != nil {
		return nil, err
	}
	if err := checkJSON(document); err != nil {
		return nil, err
	}
	return document, nil
}

// writer writes values as JSON, one after another.
type writer struct {
	buffer  bytes.Buffer
	encoder *json.Encoder
}

var writers = sync.Pool{New: func() any {
	w := &writer{}
	w.encoder = json.NewEncoder(&w.buffer)
	w.encoder.SetEscapeHTML(false)
	return w
}}

// A writer that has written more than this is not kept.
const writerBytes = 64 << 10

func marshal(value any) ([]byte, error) {
	switch value := value.(type) {
	case nil:
		return null, nil
	case json.RawMessage:
		return checkedRaw(value)
	}
	w := writers.Get().(*writer)
	w.buffer.Reset()
	if err := w.encoder.Encode(value); err != nil {
		return nil, err // an encoder that has failed once fails again
	}
	document := bytes.Clone(bytes.TrimSuffix(w.buffer.Bytes(), []byte{'\n'}))
	if w.buffer.Cap() <= writerBytes {
		writers.Put(w)
	}
	// The encoder puts U+FFFD in the place of bytes that are no text, and writes it in this way nowhere else.
	if bytes.Contains(document, []byte(`\ufffd`)) && hasBrokenText(reflect.ValueOf(value)) {
		return nil, errNotUTF8
	}
	return document, nil
}

// checkedRaw is JSON that the caller has written: it stays as it is.
func checkedRaw(raw json.RawMessage) ([]byte, error) {
	if len(raw) == 0 {
		return null, nil
	}
	if !json.Valid(raw) {
		return nil, errNoJSON
	}
	return raw, nil
}

// decodeJSON reads a document into a value; no bytes mean null. Numbers that come to lie in an any are json.Number, which
// keeps all their digits.
func decodeJSON(document []byte, into any) error {
	if raw, ok := into.(*json.RawMessage); ok {
		if *raw = document; len(document) == 0 {
			*raw = bytes.Clone(null)
		}
		if !json.Valid(*raw) {
			return errNoJSON
		}
		return nil
	}
	if len(document) == 0 || bytes.Equal(document, null) {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("it has more than one JSON document")
	}
	return nil
}

// checkJSON refuses what servers do of a document that is well-formed.
func checkJSON(document []byte) error {
	if !utf8.Valid(document) {
		return errNotUTF8
	}
	depth := 0
	for at := 0; at < len(document); {
		switch char := document[at]; {
		case char == '"':
			end, err := afterText(document, at+1)
			if err != nil {
				return err
			}
			at = end
		case char == '-' || (char >= '0' && char <= '9'):
			end := afterNumber(document, at+1)
			if err := checkNumber(document[at:end]); err != nil {
				return err
			}
			at = end
		default:
			if char == '[' || char == '{' {
				depth++
			} else if char == ']' || char == '}' {
				depth--
			}
			if depth > maxDepth {
				return errTooDeep
			}
			at++
		}
	}
	return nil
}

// afterText is the place after a text that begins at a place.
func afterText(document []byte, at int) (int, error) {
	for document[at] != '"' {
		if document[at] != '\\' {
			at++
			continue
		}
		if document[at+1] != 'u' {
			at += 2
			continue
		}
		unit := codeUnit(document, at)
		at += 6
		if unit < 0xd800 || unit > 0xdfff {
			continue
		}
		if second := codeUnit(document, at); unit > 0xdbff || second < 0xdc00 || second > 0xdfff {
			return 0, errors.New("it has half of a surrogate pair in a text")
		}
		at += 6
	}
	return at + 1, nil
}

// codeUnit is what \uXXXX at a place stands for; 0 if something else is there.
func codeUnit(document []byte, at int) uint64 {
	if at+6 > len(document) || document[at] != '\\' || document[at+1] != 'u' {
		return 0
	}
	unit, err := strconv.ParseUint(string(document[at+2:at+6]), 16, 16)
	if err != nil {
		return 0
	}
	return unit
}

func afterNumber(document []byte, at int) int {
	for at < len(document) {
		switch char := document[at]; {
		case char >= '0' && char <= '9', char == '.', char == 'e', char == 'E', char == '+', char == '-':
			at++
		default:
			return at
		}
	}
	return at
}

func checkNumber(number []byte) error {
	if bytes.ContainsAny(number, ".eE") {
		if value, err := strconv.ParseFloat(string(number), 64); err != nil || math.IsInf(value, 0) {
			return fmt.Errorf("the number %.40s is too large", number)
		}
		return nil
	}
	if digits := len(bytes.TrimPrefix(number, []byte{'-'})); digits > maxDigits {
		return fmt.Errorf("an integer has %d digits; at most %d are allowed", digits, maxDigits)
	}
	return nil
}

var marshaler = reflect.TypeFor[json.Marshaler]()

// hasBrokenText tells whether there is text in a value that is not UTF-8. What writes its JSON itself is not asked.
func hasBrokenText(value reflect.Value) bool {
	if !value.IsValid() || value.Type().Implements(marshaler) {
		return false
	}
	switch value.Kind() {
	case reflect.String:
		return !utf8.ValidString(value.String())
	case reflect.Pointer, reflect.Interface:
		return hasBrokenText(value.Elem())
	case reflect.Slice, reflect.Array:
		for i := range value.Len() {
			if hasBrokenText(value.Index(i)) {
				return true
			}
		}
	case reflect.Map:
		for each := value.MapRange(); each.Next(); {
			if hasBrokenText(each.Key()) || hasBrokenText(each.Value()) {
				return true
			}
		}
	case reflect.Struct:
		for i := range value.NumField() {
			if hasBrokenText(value.Field(i)) {
				return true
			}
		}
	}
	return false
}

// encodeResult is what a handler returned as it goes home, or the error that the attempt ends with instead.
func encodeResult(value any) ([]byte, error) {
	document, err := encodeJSON(value)
	switch {
	case errors.Is(err, errTooDeep):
		return nil, &resultError{typeResultTooDeep, fmt.Sprintf("the result is nested deeper than %d levels", maxDepth)}
	case err != nil:
		return nil, &resultError{typeResultNotJSON, "the result can't be written as JSON: " + err.Error()}
	case len(document) > maxResultBytes:
		message := fmt.Sprintf("the result is %d bytes of JSON; at most %d are kept", len(document), maxResultBytes)
		return nil, &resultError{typeResultTooLarge, message}
	}
	return document, nil
}
