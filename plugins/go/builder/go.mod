module cloudfunction.local/builder

go 1.16
