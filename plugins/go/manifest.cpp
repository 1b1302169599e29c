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
	Body      string `json:"body"`
	Signature string `json:"signature"` // hex of HMAC-SHA256 over body
}

type Receipt struct {
	Accepted bool   `json:"accepted"`
	Action   string `json:"action"`
}

// Set the environment variable WEBHOOK_SECRET to what the sender signs with.
func receive(hook Hook) (Receipt, error) {
	mac := hmac.New(sha256.New, []byte(os.Getenv("WEBHOOK_SECRET")))
	mac.Write([]byte(hook.Body))
	signature, err := hex.DecodeString(hook.Signature)
	if err != nil || !hmac.Equal(signature, mac.Sum(nil)) {
		return Receipt{}, errors.New("the signature does not match")
	}
	var body struct {
		Action string `json:"action"`
	}
	if err := json.Unmarshal([]byte(hook.Body), &body); err != nil {
		return Receipt{}, fmt.Errorf("the body is not JSON: %w", err)
	}
	fmt.Println("received", body.Action)
	return Receipt{Accepted: true, Action: body.Action}, nil
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
