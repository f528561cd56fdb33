"""What makes pods: apps/v1."""

STRUCTS = """
ReplicaSet
  apiVersion:string kind:string metadata:ObjectMeta#1 spec:ReplicaSetSpec#2
  status:ReplicaSetStatus#3
ReplicaSetSpec
  minReadySeconds:int32#4 replicas?:int32#1 selector!:LabelSelector#2 template:PodTemplateSpec#3
ReplicaSetStatus
  availableReplicas:int32#5 conditions:[]ReplicaSetCondition@type#6 fullyLabeledReplicas:int32#2
  observedGeneration:int64#3 readyReplicas:int32#4 replicas!:int32#1
ReplicaSetCondition
  lastTransitionTime:time#3 message:string#5 reason:string#4 status!:string#2 type!:string#1
Deployment
  apiVersion:string kind:string metadata:ObjectMeta#1 spec:DeploymentSpec#2
  status:DeploymentStatus#3
DeploymentSpec
  minReadySeconds:int32#5 paused:bool#7 progressDeadlineSeconds?:int32#9 replicas?:int32#1
  revisionHistoryLimit?:int32#6 selector!:LabelSelector#2 strategy:DeploymentStrategy#4
  template!:PodTemplateSpec#3
DeploymentStrategy
  rollingUpdate:RollingUpdateDeployment#2 type:string#1
RollingUpdateDeployment
  maxSurge:intstr#2 maxUnavailable:intstr#1
DeploymentStatus
  availableReplicas:int32#4 collisionCount?:int32#8 conditions:[]DeploymentCondition@type#6
  observedGeneration:int64#1 readyReplicas:int32#7 replicas:int32#2 unavailableReplicas:int32#5
  updatedReplicas:int32#3
DeploymentCondition
  lastTransitionTime:time#7 lastUpdateTime:time#6 message:string#5 reason:string#4 status!:string#2
  type!:string#1
"""
