#include "cloudfunction/executor.hpp"

namespace {

class Smallest : public cloudfunction::Executor {
public:
    static constexpr const char* id = "smallest";
    static constexpr const char* version = "1";
    using Executor::Executor;
    std::string probe() override { return "{}"; }
    std::string describe() override { return "{}"; }
    void prepare(const cloudfunction::Job&, const cloudfunction::FunctionInfo&, const std::string&,
                 const std::string&) override {}
    void plan(const cloudfunction::FunctionInfo*, const cloudfunction::Plan&) override {}
};

}  // namespace

CF_DEFINE_EXECUTOR(Smallest)
