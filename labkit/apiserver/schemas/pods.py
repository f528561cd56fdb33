"""A pod and everything in it except volumes: core/v1."""

STRUCTS = """
Pod
  apiVersion:string kind:string metadata:ObjectMeta spec:PodSpec status:PodStatus
PodSpec
  activeDeadlineSeconds:int64 affinity:Affinity automountServiceAccountToken:bool
  containers!:[]Container@name dnsConfig:PodDNSConfig dnsPolicy:string enableServiceLinks:bool
  ephemeralContainers:[]EphemeralContainer@name hostAliases:[]HostAlias@ip hostIPC:bool
  hostNetwork:bool hostPID:bool hostUsers:bool hostname:string
  imagePullSecrets:[]LocalObjectReference@name initContainers:[]Container@name nodeName:string
  nodeSelector:{}string os:PodOS overhead:{}quantity preemptionPolicy:string priority:int32
  priorityClassName:string readinessGates:[]PodReadinessGate
  resourceClaims:[]PodResourceClaim@name resources:ResourceRequirements restartPolicy:string
  runtimeClassName:string schedulerName:string schedulingGates:[]PodSchedulingGate@name
  securityContext:PodSecurityContext serviceAccount:string serviceAccountName:string
  setHostnameAsFQDN:bool shareProcessNamespace:bool subdomain:string
  terminationGracePeriodSeconds:int64 tolerations:[]Toleration
  topologySpreadConstraints:[]TopologySpreadConstraint@topologyKey volumes:[]Volume@name
Container
  args:[]string command:[]string env:[]EnvVar@name envFrom:[]EnvFromSource image:string
  imagePullPolicy:string lifecycle:Lifecycle livenessProbe:Probe name!:string
  ports:[]ContainerPort@containerPort readinessProbe:Probe resizePolicy:[]ContainerResizePolicy
  resources:ResourceRequirements restartPolicy:string securityContext:SecurityContext
  startupProbe:Probe stdin:bool stdinOnce:bool terminationMessagePath:string
  terminationMessagePolicy:string tty:bool volumeDevices:[]VolumeDevice@devicePath
  volumeMounts:[]VolumeMount@mountPath workingDir:string
EnvVar
  name!:string value:string valueFrom:EnvVarSource
EnvVarSource
  configMapKeyRef:ConfigMapKeySelector fieldRef:ObjectFieldSelector
  resourceFieldRef:ResourceFieldSelector secretKeyRef:SecretKeySelector
ConfigMapKeySelector
  key!:string name:string optional:bool
ObjectFieldSelector
  apiVersion:string fieldPath!:string
ResourceFieldSelector
  containerName:string divisor:quantity resource!:string
SecretKeySelector
  key!:string name:string optional:bool
EnvFromSource
  configMapRef:ConfigMapEnvSource prefix:string secretRef:SecretEnvSource
ConfigMapEnvSource
  name:string optional:bool
SecretEnvSource
  name:string optional:bool
Lifecycle
  postStart:LifecycleHandler preStop:LifecycleHandler
LifecycleHandler
  exec:ExecAction httpGet:HTTPGetAction sleep:SleepAction tcpSocket:TCPSocketAction
ExecAction
  command:[]string
HTTPGetAction
  host:string httpHeaders:[]HTTPHeader path:string port!:intstr scheme:string
HTTPHeader
  name!:string value!:string
SleepAction
  seconds!:int64
TCPSocketAction
  host:string port!:intstr
Probe
  exec:ExecAction failureThreshold:int32 grpc:GRPCAction httpGet:HTTPGetAction
  initialDelaySeconds:int32 periodSeconds:int32 successThreshold:int32 tcpSocket:TCPSocketAction
  terminationGracePeriodSeconds:int64 timeoutSeconds:int32
GRPCAction
  port!:int32 service:string
ContainerPort
  containerPort!:int32 hostIP:string hostPort:int32 name:string protocol:string
ContainerResizePolicy
  resourceName!:string restartPolicy!:string
ResourceRequirements
  claims:[]ResourceClaim limits:{}quantity requests:{}quantity
ResourceClaim
  name!:string request:string
SecurityContext
  allowPrivilegeEscalation:bool appArmorProfile:AppArmorProfile capabilities:Capabilities
  privileged:bool procMount:string readOnlyRootFilesystem:bool runAsGroup:int64
  runAsNonRoot:bool runAsUser:int64 seLinuxOptions:SELinuxOptions seccompProfile:SeccompProfile
  windowsOptions:WindowsSecurityContextOptions
AppArmorProfile
  localhostProfile:string type!:string
Capabilities
  add:[]string drop:[]string
SELinuxOptions
  level:string role:string type:string user:string
SeccompProfile
  localhostProfile:string type!:string
WindowsSecurityContextOptions
  gmsaCredentialSpec:string gmsaCredentialSpecName:string hostProcess:bool runAsUserName:string
VolumeDevice
  devicePath!:string name!:string
VolumeMount
  mountPath!:string mountPropagation:string name!:string readOnly:bool recursiveReadOnly:string
  subPath:string subPathExpr:string
Affinity
  nodeAffinity:NodeAffinity podAffinity:PodAffinity podAntiAffinity:PodAntiAffinity
NodeAffinity
  preferredDuringSchedulingIgnoredDuringExecution:[]PreferredSchedulingTerm
  requiredDuringSchedulingIgnoredDuringExecution:NodeSelector
PreferredSchedulingTerm
  preference!:NodeSelectorTerm weight!:int32
NodeSelectorTerm
  matchExpressions:[]NodeSelectorRequirement matchFields:[]NodeSelectorRequirement
NodeSelectorRequirement
  key!:string operator!:string values:[]string
NodeSelector
  nodeSelectorTerms!:[]NodeSelectorTerm
PodAffinity
  preferredDuringSchedulingIgnoredDuringExecution:[]WeightedPodAffinityTerm
  requiredDuringSchedulingIgnoredDuringExecution:[]PodAffinityTerm
WeightedPodAffinityTerm
  podAffinityTerm!:PodAffinityTerm weight!:int32
PodAffinityTerm
  labelSelector:LabelSelector matchLabelKeys:[]string mismatchLabelKeys:[]string
  namespaceSelector:LabelSelector namespaces:[]string topologyKey!:string
PodAntiAffinity
  preferredDuringSchedulingIgnoredDuringExecution:[]WeightedPodAffinityTerm
  requiredDuringSchedulingIgnoredDuringExecution:[]PodAffinityTerm
PodDNSConfig
  nameservers:[]string options:[]PodDNSConfigOption searches:[]string
PodDNSConfigOption
  name:string value:string
EphemeralContainer
  args:[]string command:[]string env:[]EnvVar@name envFrom:[]EnvFromSource image:string
  imagePullPolicy:string lifecycle:Lifecycle livenessProbe:Probe name!:string
  ports:[]ContainerPort@containerPort readinessProbe:Probe resizePolicy:[]ContainerResizePolicy
  resources:ResourceRequirements restartPolicy:string securityContext:SecurityContext
  startupProbe:Probe stdin:bool stdinOnce:bool targetContainerName:string
  terminationMessagePath:string terminationMessagePolicy:string tty:bool
  volumeDevices:[]VolumeDevice@devicePath volumeMounts:[]VolumeMount@mountPath workingDir:string
HostAlias
  hostnames:[]string ip!:string
LocalObjectReference
  name:string
PodOS
  name!:string
PodReadinessGate
  conditionType!:string
PodResourceClaim
  name!:string resourceClaimName:string resourceClaimTemplateName:string
PodSchedulingGate
  name!:string
PodSecurityContext
  appArmorProfile:AppArmorProfile fsGroup:int64 fsGroupChangePolicy:string runAsGroup:int64
  runAsNonRoot:bool runAsUser:int64 seLinuxChangePolicy:string seLinuxOptions:SELinuxOptions
  seccompProfile:SeccompProfile supplementalGroups:[]int64 supplementalGroupsPolicy:string
  sysctls:[]Sysctl windowsOptions:WindowsSecurityContextOptions
Sysctl
  name!:string value!:string
Toleration
  effect:string key:string operator:string tolerationSeconds:int64 value:string
TopologySpreadConstraint
  labelSelector:LabelSelector matchLabelKeys:[]string maxSkew!:int32 minDomains:int32
  nodeAffinityPolicy:string nodeTaintsPolicy:string topologyKey!:string
  whenUnsatisfiable!:string
PodStatus
  conditions:[]PodCondition@type containerStatuses:[]ContainerStatus
  ephemeralContainerStatuses:[]ContainerStatus hostIP:string hostIPs:[]HostIP@ip
  initContainerStatuses:[]ContainerStatus message:string nominatedNodeName:string phase:string
  podIP:string podIPs:[]PodIP@ip qosClass:string reason:string resize:string
  resourceClaimStatuses:[]PodResourceClaimStatus@name startTime:time
PodCondition
  lastProbeTime:time lastTransitionTime:time message:string reason:string status!:string
  type!:string
ContainerStatus
  allocatedResources:{}quantity allocatedResourcesStatus:[]ResourceStatus containerID:string
  image!:string imageID!:string lastState:ContainerState name!:string ready!:bool
  resources:ResourceRequirements restartCount!:int32 started:bool state:ContainerState
  user:ContainerUser volumeMounts:[]VolumeMountStatus
ResourceStatus
  name!:string resources:[]ResourceHealth
ResourceHealth
  health:string resourceID!:string
ContainerState
  running:ContainerStateRunning terminated:ContainerStateTerminated
  waiting:ContainerStateWaiting
ContainerStateRunning
  startedAt:time
ContainerStateTerminated
  containerID:string exitCode!:int32 finishedAt:time message:string reason:string signal:int32
  startedAt:time
ContainerStateWaiting
  message:string reason:string
ContainerUser
  linux:LinuxContainerUser
LinuxContainerUser
  gid!:int64 supplementalGroups:[]int64 uid!:int64
VolumeMountStatus
  mountPath!:string name!:string readOnly:bool recursiveReadOnly:string
HostIP
  ip!:string
PodIP
  ip!:string
PodResourceClaimStatus
  name!:string resourceClaimName:string
"""
