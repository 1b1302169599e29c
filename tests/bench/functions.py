"""The functions that are measured, in every language. `hello` does what the workers of the other sides do."""

LANGUAGES = ('python', 'node', 'go')

HELLO = {
    'python': 'def handler(event, context):\n    return {"message": "hello", "n": len(event["data"])}\n',
    'node': "const handler = (event, context) => ({ message: 'hello', n: event.data.length });\n",
    'go': 'func handler(event interface{}, context map[string]string) interface{} {\n'
          '    switch data := event.(map[string]interface{})["data"].(type) {\n'
          '    case []interface{}:\n'
          '        return map[string]interface{}{"message": "hello", "n": len(data)}\n'
          '    case string:\n'
          '        return map[string]interface{}{"message": "hello", "n": len(data)}\n'
          '    }\n'
          '    return nil\n}\n',
}

ECHO = {
    'python': 'def handler(event, context):\n    return event\n',
    'node': 'const handler = (event, context) => event;\n',
    'go': 'func handler(event interface{}, context map[string]string) interface{} {\n    return event\n}\n',
}

# 100 ms of waiting, as for a database or another service.
WAITS = {
    'python': 'import asyncio\nasync def handler(event, context):\n    await asyncio.sleep(0.1)\n    return 1\n',
    'node': 'const handler = (event) => new Promise((done) => setTimeout(() => done(1), 100));\n',
    'go': 'import "time"\nfunc handler(event interface{}, context map[string]string) interface{} {\n'
          '    time.Sleep(100 * time.Millisecond)\n    return 1\n}\n',
}

# Says which process answers.
WHO = {
    'python': 'import os\nTOKEN = os.urandom(8).hex()\ndef handler(event, context):\n    return TOKEN\n',
    'node': "const token = require('crypto').randomBytes(8).toString('hex');\nconst handler = () => token;\n",
    'go': 'import (\n    "strconv"\n    "time"\n)\nvar token = strconv.FormatInt(time.Now().UnixNano(), 36)\n'
          'func handler(event interface{}, context map[string]string) interface{} {\n    return token\n}\n',
}

# A program of each language that does nothing: what a start costs without a platform.
BARE = {
    'python': ['-c', 'pass'],
    'node': ['-e', '0'],
    'go': [],
}
BARE_GO = 'package main\n\nfunc main() {}\n'

COMMENT = {'python': '#', 'node': '//', 'go': '//'}


def unique(code, language, text):
    """The same function with other bytes: nothing that was built before fits it."""
    return f'{code}\n{COMMENT[language]} {text}\n'
