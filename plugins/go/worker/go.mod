module cloudfunction.local/worker

go 1.16
