"""What `token-calc demo` needs: a model server that runs on this machine and costs nothing."""
