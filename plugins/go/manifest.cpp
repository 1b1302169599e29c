#include "manifest.hpp"

#include <array>

#include "cloudfunction/executor.hpp"

namespace go_executor {

namespace {

struct Template {
    const char* name;
    const char* title;
    const char* handler;
    const char* code;
};

constexpr std::array<Template, 4> templates = {{
    {"hello", "Hello World", "handler", R"go(func handler(event interface{}, context map[string]string) interface{} {
	return map[string]interface{}{
		"message": "Hello World!",
		"event":   event,
	}
}
)go"},
    {"data-analysis", "Data analysis", "analyze", R"go(type Input struct {
	Data []float64 `json:"data"`
}

type Output struct {
	Count  int     `json:"count"`
	Mean   float64 `json:"mean"`
	Median float64 `json:"median"`
	Stdev  float64 `json:"stdev"`
}

// Send {"data": [1, 2, 3, 4]}.
func analyze(input Input) (Output, error) {
	n := len(input.Data)
	if n == 0 {
		return Output{}, errors.New("no data provided")
	}
	sorted := append([]float64(nil), input.Data...)
	sort.Float64s(sorted)
	sum := 0.0
	for _, v := range sorted {
		sum += v
	}
	mean := sum / float64(n)
	squares := 0.0
	for _, v := range sorted {
		squares += (v - mean) * (v - mean)
	}
	return Output{
		Count:  n,
		Mean:   mean,
		Median: (sorted[(n-1)/2] + sorted[n/2]) / 2,
		Stdev:  math.Sqrt(squares / float64(n)),
	}, nil
}
)go"},
    {"webhook", "Webhook", "receive", R"go(type Hook struct {
	Headers  map[string]interface{} `json:"headers"` // their names are in small letters
	Body     string                 `json:"body"`
	IsBase64 bool                   `json:"is_base64"`
}

// Takes what GitHub and its like deliver, at the function's own URL: /function/<name>
// Save the function with "http": {"enabled": true}, and with the secret that sender and receiver share as the
// environment variable WEBHOOK_SECRET. Have the sender send JSON.
func receive(hook Hook) (interface{}, error) {
	secret := os.Getenv("WEBHOOK_SECRET")
	if secret == "" { // one that everybody knows
		return nil, errors.New("set WEBHOOK_SECRET in the environment of the function")
	}
	body := []byte(hook.Body)
	if hook.IsBase64 {
		var err error
		if body, err = base64.StdEncoding.DecodeString(hook.Body); err != nil {
			return nil, err
		}
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	given, _ := hook.Headers["x-hub-signature-256"].(string)
	if !hmac.Equal([]byte(given), []byte("sha256="+hex.EncodeToString(mac.Sum(nil)))) {
		return map[string]interface{}{"status_code": 401, "body": "the signature does not match"}, nil
	}
	var delivery struct {
		Action string `json:"action"`
	}
	if err := json.Unmarshal(body, &delivery); err != nil {
		return nil, fmt.Errorf("the body is not JSON: %w", err)
	}
	fmt.Println("accepted", delivery.Action)
	return map[string]interface{}{"accepted": true, "action": delivery.Action}, nil
}
)go"},
    {"scheduled-job", "Scheduled job", "run", R"go(type Report struct {
	URL    string `json:"url"`
	Status int    `json:"status"`
	Millis int64  `json:"millis"`
}

// Looks whether a site answers. Let a schedule call it with {"url": "https://example.com"}.
func run(ctx context.Context, event struct{ URL string }) (Report, error) {
	if event.URL == "" {
		return Report{}, errors.New("send the address to look at as url")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, event.URL, nil)
	if err != nil {
		return Report{}, err
	}
	started := time.Now()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return Report{}, err
	}
	defer response.Body.Close()
	report := Report{URL: event.URL, Status: response.StatusCode, Millis: time.Since(started).Milliseconds()}
	log.Println(report.URL, report.Status, report.Millis, "ms")
	return report, nil
}
)go"},
}};

}  // namespace

std::string manifest() {
    using cloudfunction::jsonString;
    std::string list;
    for (const Template& one : templates) {
        if (!list.empty()) list += ',';
        list += "{\"name\":" + jsonString(one.name) + ",\"title\":" + jsonString(one.title) + ",\"handler\":" +
                jsonString(one.handler) + ",\"code\":" + jsonString(one.code) + "}";
    }
    return R"({"display_name":"Go","runtimes":[{"name":"go","display_name":"Go","aliases":[{"name":"golang"}],)"
           R"("source_file":"main.go","file_extensions":[".go"],"editor_mode":"go","default_handler":"handler","templates":[)" +
           list + R"(]}],"start_environment":[],"default_limits":{"memory_mb":128},)"
           R"("properties":[{"name":"path"},{"name":"cache"},{"name":"registry_timeout","minimum":1,"maximum":3600}]})";
}

}  // namespace go_executor
