"""The examples of the function contract, word for word. They must work exactly as they stand here."""

HELLO_PYTHON = """\
def handler(event, context):
    return {'message': 'Hello from Python', 'event': event}
"""

ANALYZE_PYTHON = """\
def analyze_data(event, context):
    import statistics
    data = event.get('data', [])
    if not data:
        return {'error': 'No data provided'}
    return {'mean': statistics.mean(data), 'median': statistics.median(data),
            'mode': statistics.mode(data), 'stdev': statistics.stdev(data)}
"""

HELLO_NODE = """\
function handler(event, context) {
    return { message: "Hello from Node.js", event: event };
}
"""

FETCH_NODE = """\
async function fetchData(event, context) {
    const axios = require('axios');
    try {
        const response = await axios.get('https://api.example.com/data');
        return { success: true, data: response.data };
    } catch (error) {
        return { success: false, error: error.message };
    }
}
"""

HELLO_GO = """\
func handler(event interface{}, context map[string]string) interface{} {
    return map[string]interface{}{
        "message": "Hello World!"
    }
}
"""

PROCESS_GO = """\
func processData(event interface{}, context map[string]string) interface{} {
    eventMap := event.(map[string]interface{})
    data := eventMap["data"].([]interface{})

    sum := 0.0
    for _, v := range data {
        sum += v.(float64)
    }

    return map[string]interface{}{
        "sum": sum,
        "count": len(data),
        "average": sum / float64(len(data)),
    }
}
"""
