"""What MLflow and TensorBoard are told: no other part of this project imports them."""
