#include "app/remote_launcher.hpp"

#include <memory>
#include <utility>

namespace cf::app {

void RemoteLauncher::startWorker(const sandbox::WorkerSpec& spec, WorkerCallback started,
                                 EndedCallback ended) {
    owner_.post([&here = here_, &launcher = launcher_, spec, started = std::move(started),
                 ended = std::move(ended)] {
        launcher.startWorker(
            spec,
            [&here, started](base::Result<Worker> worker) {
                // What a loop is given to do has to be copyable; descriptors are not.
                auto box = std::make_shared<base::Result<Worker>>(std::move(worker));
                here.post([started, box] { started(std::move(*box)); });
            },
            [&here, ended](const sandbox::Ended& how) { here.post([ended, how] { ended(how); }); });
    });
}

void RemoteLauncher::onRefused(sandbox::TaskId worker, RefusedCallback refused) {
    owner_.post([&here = here_, &launcher = launcher_, worker, refused = std::move(refused)] {
        launcher.onRefused(worker, [&here, refused](std::string_view line) {
            here.post([refused, line = std::string(line)] { refused(line); });
        });
    });
}

void RemoteLauncher::attach(sandbox::TaskId worker, const sandbox::Attachment& attachment,
                            DoneCallback done) {
    owner_.post([&here = here_, &launcher = launcher_, worker, attachment, done = std::move(done)] {
        launcher.attach(worker, attachment, [&here, done](base::Result<void> result) {
            here.post([done, result] { done(result); });
        });
    });
}

void RemoteLauncher::share(sandbox::TaskId worker, uint32_t parts) {
    owner_.post([&launcher = launcher_, worker, parts] { launcher.share(worker, parts); });
}

void RemoteLauncher::kill(sandbox::TaskId task) {
    owner_.post([&launcher = launcher_, task] { launcher.kill(task); });
}

}  // namespace cf::app
