package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/qlora/qlora/internal/serve/engine"
)

// apiError is an error in the shape of OpenAI's API.
type apiError struct {
	status  int
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`

	retry time.Duration // what Retry-After says, 0 for nothing
	allow string        // what Allow says
}

func (e *apiError) Error() string { return e.Message }

// errorBody is the JSON around an error.
type errorBody struct {
	Error *apiError `json:"error"`
}

// newError makes an error; param and code are left out where empty.
func newError(status int, param, code, format string, args ...any) *apiError {
	e := &apiError{status: status, Message: fmt.Sprintf(format, args...), Type: errorType(status)}
	if param != "" {
		e.Param = &param
	}
	if code != "" {
		e.Code = &code
	}
	return e
}

// badParam is a 400 that names what is wrong.
func badParam(param, format string, args ...any) *apiError {
	return newError(http.StatusBadRequest, param, "", format, args...)
}

// errorType is what OpenAI calls errors of a status.
func errorType(status int) string {
	switch {
	case status == http.StatusUnauthorized:
		return "authentication_error"
	case status == http.StatusForbidden:
		return "permission_error"
	case status == http.StatusNotFound:
		return "not_found_error"
	case status == http.StatusTooManyRequests:
		return "rate_limit_error"
	case status >= 500:
		return "server_error"
	default:
		return "invalid_request_error"
	}
}

// fromEngine gives an error of the engine at a request its status.
func fromEngine(err error, c common) *apiError {
	var api *apiError
	if errors.As(err, &api) {
		return api
	}
	var e *engine.Error
	if !errors.As(err, &e) {
		return newError(http.StatusInternalServerError, "", "", "%v", err)
	}
	switch e.Kind {
	case engine.Invalid:
		return badParam(c.blamed(), "%s: %s", c.blamed(), e.Message)
	case engine.ContextFull:
		return newError(http.StatusBadRequest, c.input, "context_length_exceeded", "%s", e.Message)
	case engine.UnknownModel:
		return newError(http.StatusNotFound, "model", "model_not_found", "%s", e.Message)
	case engine.Unavailable:
		out := newError(http.StatusServiceUnavailable, "", "engine_unavailable", "%s", e.Message)
		out.retry = time.Second
		return out
	default:
		return newError(http.StatusInternalServerError, "", "", "%s", e.Message)
	}
}

// writeError answers with e. Nothing must have been written before.
func writeError(w http.ResponseWriter, e *apiError) {
	h := w.Header()
	if e.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(max(1, int(e.retry.Round(time.Second).Seconds()))))
	}
	if e.allow != "" {
		h.Set("Allow", e.allow)
	}
	if e.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="qlora"`)
	}
	writeJSON(w, e.status, errorBody{e})
}

// writeJSON answers with a value that encodes.
func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // a value of ours that does not encode: a fault in this program
		status, body = http.StatusInternalServerError, []byte(`{"error":{"message":"the answer could not be encoded","type":"server_error","param":null,"code":null}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that is gone is no concern here
}
