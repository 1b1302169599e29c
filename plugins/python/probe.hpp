// Looks for an interpreter. Used by the executor's probe() alone, in the throw-away process where
// the host calls it: starts processes and waits for them.
#pragma once

#include <string>
#include <vector>

#include "installer.hpp"

namespace cf::python {

// The oldest version that the worker shim runs on.
inline constexpr int floorMajor = 3;
inline constexpr int floorMinor = 7;

// What an interpreter said about itself, kept as the JSON object that `create` gets.
struct Interpreter {
    std::string version;     // "3.11.2"
    std::string executable;  // the real file: no symbolic link, no version manager's script
    // Folders that it needs besides /usr, /lib and /bin, to be seen at the same path in a sandbox.
    std::vector<std::string> mounts;
    std::string tag;  // what its extension modules are built for, "cpython-311-x86_64-linux-gnu"
    std::string compatibility;  // what installed packages depend on: equal for patch releases
    // What a worker runs, below the executor's folder: the shim compiled for this interpreter when
    // that lies there and was made from these sources, else the source itself, 5 ms slower.
    std::string shim = "worker.py";
    Installer installer;

    std::string toJson() const;
    // Of an empty text or one that is not of toJson: an Interpreter without `executable`.
    static Interpreter fromJson(std::string_view json);
};

// The first interpreter that is good enough: `configured` alone where it is not empty, else
// `python3` as PATH has it, else /usr/bin/python3. Throws cloudfunction::Failed(CF_UNAVAILABLE),
// naming what was found and what to install.
//
// `home` is the folder of the executor's own files: scripts there ask for pip and its settings, and
// for the compiled shim.
Interpreter findInterpreter(const std::string& configured, const std::string& home);

}  // namespace cf::python
