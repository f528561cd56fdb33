"""A pod and everything in it except volumes: core/v1."""

STRUCTS = """
Pod
  apiVersion:string kind:string metadata:ObjectMeta#1 spec:PodSpec#2 status:PodStatus#3
PodSpec
  activeDeadlineSeconds?:int64#5 affinity:Affinity#18 automountServiceAccountToken?:bool#21
  containers!:[]Container@name#2 dnsConfig:PodDNSConfig#26 dnsPolicy:string#6
  enableServiceLinks?:bool#30 ephemeralContainers:[]EphemeralContainer@name#34
  hostAliases:[]HostAlias@ip#23 hostIPC:bool#13 hostNetwork:bool#11 hostPID:bool#12
  hostUsers?:bool#37 hostname:string#16 imagePullSecrets:[]LocalObjectReference@name#15
  initContainers:[]Container@name#20 nodeName:string#10 nodeSelector:{}string%#7 os:PodOS#36
  overhead:{}quantity#32 preemptionPolicy:string#31 priority?:int32#25 priorityClassName:string#24
  readinessGates:[]PodReadinessGate#28 resourceClaims:[]PodResourceClaim@name#39
  resources:ResourceRequirements#40 restartPolicy:string#3 runtimeClassName:string#29
  schedulerName:string#19 schedulingGates:[]PodSchedulingGate@name#38
  securityContext:PodSecurityContext#14 serviceAccount:string#9 serviceAccountName:string#8
  setHostnameAsFQDN?:bool#35 shareProcessNamespace?:bool#27 subdomain:string#17
  terminationGracePeriodSeconds?:int64#4 tolerations:[]Toleration#22
  topologySpreadConstraints:[]TopologySpreadConstraint@topologyKey%topologyKey,whenUnsatisfiable#33
  volumes:[]Volume@name#1
Container
  args:[]string#4 command:[]string#3 env:[]EnvVar@name#7 envFrom:[]EnvFromSource#19 image:string#2
  imagePullPolicy:string#14 lifecycle:Lifecycle#12 livenessProbe:Probe#10 name!:string#1
  ports:[]ContainerPort@containerPort%containerPort,protocol#6 readinessProbe:Probe#11
  resizePolicy:[]ContainerResizePolicy#23 resources:ResourceRequirements#8 restartPolicy:string#24
  securityContext:SecurityContext#15 startupProbe:Probe#22 stdin:bool#16 stdinOnce:bool#17
  terminationMessagePath:string#13 terminationMessagePolicy:string#20 tty:bool#18
  volumeDevices:[]VolumeDevice@devicePath#21 volumeMounts:[]VolumeMount@mountPath#9
  workingDir:string#5
EnvVar
  name!:string#1 value:string#2 valueFrom:EnvVarSource#3
EnvVarSource
  configMapKeyRef:ConfigMapKeySelector#3 fieldRef:ObjectFieldSelector#1
  resourceFieldRef:ResourceFieldSelector#2 secretKeyRef:SecretKeySelector#4
ConfigMapKeySelector
  key!:string#2 name:string#1.1 optional?:bool#3
ObjectFieldSelector
  apiVersion:string#1 fieldPath!:string#2
ResourceFieldSelector
  containerName:string#1 divisor:quantity#3 resource!:string#2
SecretKeySelector
  key!:string#2 name:string#1.1 optional?:bool#3
EnvFromSource
  configMapRef:ConfigMapEnvSource#2 prefix:string#1 secretRef:SecretEnvSource#3
ConfigMapEnvSource
  name:string#1.1 optional?:bool#2
SecretEnvSource
  name:string#1.1 optional?:bool#2
Lifecycle
  postStart:LifecycleHandler#1 preStop:LifecycleHandler#2
LifecycleHandler
  exec:ExecAction#1 httpGet:HTTPGetAction#2 sleep:SleepAction#4 tcpSocket:TCPSocketAction#3
ExecAction
  command:[]string#1
HTTPGetAction
  host:string#3 httpHeaders:[]HTTPHeader#5 path:string#1 port!:intstr#2 scheme:string#4
HTTPHeader
  name!:string#1 value!:string#2
SleepAction
  seconds!:int64#1
TCPSocketAction
  host:string#2 port!:intstr#1
Probe
  exec:ExecAction#1.1 failureThreshold:int32#6 grpc:GRPCAction#1.4 httpGet:HTTPGetAction#1.2
  initialDelaySeconds:int32#2 periodSeconds:int32#4 successThreshold:int32#5
  tcpSocket:TCPSocketAction#1.3 terminationGracePeriodSeconds?:int64#7 timeoutSeconds:int32#3
GRPCAction
  port!:int32#1 service:string#2
ContainerPort
  containerPort!:int32#3 hostIP:string#5 hostPort:int32#2 name:string#1 protocol:string#4
ContainerResizePolicy
  resourceName!:string#1 restartPolicy!:string#2
ResourceRequirements
  claims:[]ResourceClaim%name#3 limits:{}quantity#1 requests:{}quantity#2
ResourceClaim
  name!:string#1 request:string#2
SecurityContext
  allowPrivilegeEscalation?:bool#7 appArmorProfile:AppArmorProfile#12 capabilities:Capabilities#1
  privileged?:bool#2 procMount:string#9 readOnlyRootFilesystem?:bool#6 runAsGroup?:int64#8
  runAsNonRoot?:bool#5 runAsUser?:int64#4 seLinuxOptions:SELinuxOptions#3
  seccompProfile:SeccompProfile#11 windowsOptions:WindowsSecurityContextOptions#10
AppArmorProfile
  localhostProfile:string#2 type!:string#1
Capabilities
  add:[]string#1 drop:[]string#2
SELinuxOptions
  level:string#4 role:string#2 type:string#3 user:string#1
SeccompProfile
  localhostProfile:string#2 type!:string#1
WindowsSecurityContextOptions
  gmsaCredentialSpec:string#2 gmsaCredentialSpecName:string#1 hostProcess?:bool#4
  runAsUserName:string#3
VolumeDevice
  devicePath!:string#2 name!:string#1
VolumeMount
  mountPath!:string#3 mountPropagation:string#5 name!:string#1 readOnly:bool#2
  recursiveReadOnly:string#7 subPath:string#4 subPathExpr:string#6
Affinity
  nodeAffinity:NodeAffinity#1 podAffinity:PodAffinity#2 podAntiAffinity:PodAntiAffinity#3
NodeAffinity
  preferredDuringSchedulingIgnoredDuringExecution:[]PreferredSchedulingTerm#2
  requiredDuringSchedulingIgnoredDuringExecution:NodeSelector#1
PreferredSchedulingTerm
  preference!:NodeSelectorTerm#2 weight!:int32#1
NodeSelectorTerm
  matchExpressions:[]NodeSelectorRequirement#1 matchFields:[]NodeSelectorRequirement#2
NodeSelectorRequirement
  key!:string#1 operator!:string#2 values:[]string#3
NodeSelector
  nodeSelectorTerms!:[]NodeSelectorTerm#1
PodAffinity
  preferredDuringSchedulingIgnoredDuringExecution:[]WeightedPodAffinityTerm#2
  requiredDuringSchedulingIgnoredDuringExecution:[]PodAffinityTerm#1
WeightedPodAffinityTerm
  podAffinityTerm!:PodAffinityTerm#2 weight!:int32#1
PodAffinityTerm
  labelSelector:LabelSelector#1 matchLabelKeys:[]string#5 mismatchLabelKeys:[]string#6
  namespaceSelector:LabelSelector#4 namespaces:[]string#2 topologyKey!:string#3
PodAntiAffinity
  preferredDuringSchedulingIgnoredDuringExecution:[]WeightedPodAffinityTerm#2
  requiredDuringSchedulingIgnoredDuringExecution:[]PodAffinityTerm#1
PodDNSConfig
  nameservers:[]string#1 options:[]PodDNSConfigOption#3 searches:[]string#2
PodDNSConfigOption
  name:string#1 value:string#2
EphemeralContainer
  args:[]string#1.4 command:[]string#1.3 env:[]EnvVar@name#1.7 envFrom:[]EnvFromSource#1.19
  image:string#1.2 imagePullPolicy:string#1.14 lifecycle:Lifecycle#1.12 livenessProbe:Probe#1.10
  name!:string#1.1 ports:[]ContainerPort@containerPort%containerPort,protocol#1.6
  readinessProbe:Probe#1.11 resizePolicy:[]ContainerResizePolicy#1.23
  resources:ResourceRequirements#1.8 restartPolicy:string#1.24 securityContext:SecurityContext#1.15
  startupProbe:Probe#1.22 stdin:bool#1.16 stdinOnce:bool#1.17 targetContainerName:string#2
  terminationMessagePath:string#1.13 terminationMessagePolicy:string#1.20 tty:bool#1.18
  volumeDevices:[]VolumeDevice@devicePath#1.21 volumeMounts:[]VolumeMount@mountPath#1.9
  workingDir:string#1.5
HostAlias
  hostnames:[]string#2 ip!:string#1
LocalObjectReference
  name:string#1
PodOS
  name!:string#1
PodReadinessGate
  conditionType!:string#1
PodResourceClaim
  name!:string#1 resourceClaimName:string#3 resourceClaimTemplateName:string#4
PodSchedulingGate
  name!:string#1
PodSecurityContext
  appArmorProfile:AppArmorProfile#11 fsGroup?:int64#5 fsGroupChangePolicy:string#9
  runAsGroup?:int64#6 runAsNonRoot?:bool#3 runAsUser?:int64#2 seLinuxChangePolicy:string#13
  seLinuxOptions:SELinuxOptions#1 seccompProfile:SeccompProfile#10 supplementalGroups:[]int64#4
  supplementalGroupsPolicy:string#12 sysctls:[]Sysctl#7
  windowsOptions:WindowsSecurityContextOptions#8
Sysctl
  name!:string#1 value!:string#2
Toleration
  effect:string#4 key:string#1 operator:string#2 tolerationSeconds?:int64#5 value:string#3
TopologySpreadConstraint
  labelSelector:LabelSelector#4 matchLabelKeys:[]string#8 maxSkew!:int32#1 minDomains?:int32#5
  nodeAffinityPolicy:string#6 nodeTaintsPolicy:string#7 topologyKey!:string#2
  whenUnsatisfiable!:string#3
PodStatus
  conditions:[]PodCondition@type#2 containerStatuses:[]ContainerStatus#8
  ephemeralContainerStatuses:[]ContainerStatus#13 hostIP:string#5 hostIPs:[]HostIP@ip%#16
  initContainerStatuses:[]ContainerStatus#10 message:string#3 nominatedNodeName:string#11
  phase:string#1 podIP:string#6 podIPs:[]PodIP@ip#12 qosClass:string#9 reason:string#4
  resize:string#14 resourceClaimStatuses:[]PodResourceClaimStatus@name#15 startTime:time#7
PodCondition
  lastProbeTime:time#3 lastTransitionTime:time#4 message:string#6 reason:string#5 status!:string#2
  type!:string#1
ContainerStatus
  allocatedResources:{}quantity#10 allocatedResourcesStatus:[]ResourceStatus@name#14
  containerID:string#8 image!:string#6 imageID!:string#7 lastState:ContainerState#3 name!:string#1
  ready!:bool#4 resources:ResourceRequirements#11 restartCount!:int32#5 started?:bool#9
  state:ContainerState#2 user:ContainerUser#13 volumeMounts:[]VolumeMountStatus@mountPath#12
ResourceStatus
  name!:string#1 resources:[]ResourceHealth%resourceID#2
ResourceHealth
  health:string#2 resourceID!:string#1
ContainerState
  running:ContainerStateRunning#2 terminated:ContainerStateTerminated#3
  waiting:ContainerStateWaiting#1
ContainerStateRunning
  startedAt:time#1
ContainerStateTerminated
  containerID:string#7 exitCode!:int32#1 finishedAt:time#6 message:string#4 reason:string#3
  signal:int32#2 startedAt:time#5
ContainerStateWaiting
  message:string#2 reason:string#1
ContainerUser
  linux:LinuxContainerUser#1
LinuxContainerUser
  gid!:int64#2 supplementalGroups:[]int64#3 uid!:int64#1
VolumeMountStatus
  mountPath!:string#2 name!:string#1 readOnly:bool#3 recursiveReadOnly:string#4
HostIP
  ip!:string#1
PodIP
  ip!:string#1
PodResourceClaimStatus
  name!:string#1 resourceClaimName:string#2
PodTemplateSpec
  metadata:ObjectMeta#1 spec:PodSpec#2
"""
